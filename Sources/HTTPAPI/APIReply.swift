package import JSONText

/// What a request is answered with.
package struct APIReply: Sendable, Equatable {
    /// A header field.
    package struct Field: Sendable, Equatable {
        /// Its name.
        package var name: String
        /// Its value.
        package var value: String

        /// A field of its parts.
        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The HTTP status.
    package var status: Int
    /// What the body is; nil for what the client prefers of the forms of JSON.
    package var contentType: String?
    /// The body.
    package var body: [UInt8]
    /// Further header fields.
    package var fields: [Field]
    /// What follows instead of a body, piece by piece, until it ends or the client goes.
    package var stream: ReplyStream?

    /// The name under which JSON goes out.
    package enum JSONType: Sendable {
        /// One of those that clients of registries know, as the client prefers.
        case registry
        /// `application/json`.
        case plain
    }

    /// An answer in JSON.
    package init(_ json: JSONValue, status: Int = 200, type: JSONType = .registry, fields: [Field] = []) {
        let contentType = type == .plain ? "application/json" : nil
        self.init(status: status, text: json.compactText, contentType: contentType, fields: fields)
    }

    /// An answer in text of some kind.
    package init(status: Int = 200, text: String, contentType: String?, fields: [Field] = []) {
        self.status = status
        self.contentType = contentType
        body = Array(text.utf8)
        self.fields = fields
    }

    /// An answer in bytes of some kind.
    package init(status: Int = 200, body: [UInt8], contentType: String?, fields: [Field] = []) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.fields = fields
    }

    /// An answer that goes on.
    package init(_ stream: ReplyStream, contentType: String, fields: [Field] = []) {
        self.init(status: 200, body: [], contentType: contentType, fields: fields)
        self.stream = stream
    }

    init(_ problem: HTTPProblem) {
        self.init(problem.json, status: problem.status, fields: problem.fields)
    }
}

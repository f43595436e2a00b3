package import JSONText

/// Why a request is not answered as it was meant: an HTTP status, a code, and a sentence. It becomes the answer's body,
/// `{"error_code": …, "message": …}`, the form that clients of schema registries read.
package struct HTTPProblem: Error, Sendable, Equatable {
    /// The HTTP status.
    package var status: Int
    /// The code in the body: the status itself, or five digits that begin with it.
    package var code: Int
    /// What is wrong, for people. Never values of rows or secrets.
    package var message: String
    /// Header fields that go with it.
    package var fields: [APIReply.Field] = []
    /// What else the body says.
    package var members: [JSONObject.Member] = []

    /// A problem with a code of its own.
    package init(_ status: Int, code: Int? = nil, _ message: String, fields: [APIReply.Field] = []) {
        self.status = status
        self.code = code ?? status
        self.message = message
        self.fields = fields
    }

    static func notFound(_ message: String = "there is nothing under this path") -> HTTPProblem {
        HTTPProblem(404, message)
    }

    /// The body of the answer.
    package var json: JSONValue {
        .object(
            JSONObject(
                [
                    JSONObject.Member(name: "error_code", value: .number(JSONNumber(code))),
                    JSONObject.Member(name: "message", value: .string(message)),
                ] + members))
    }
}

import JSONText
import SchemaRegistry

/// Subjects and their versions.
extension RegistryAPI {
    var subjectRoutes: [Route] {
        [
            get("subjects") { [store] request, _ in
                let names = try store.subjects(prefix: Self.prefix(request), Self.scope(request))
                return APIReply(.array(Self.page(names, request).map { .string($0) }))
            },
            get("subjects/{}/versions") { [store] request, parts in
                let versions = try store.versions(of: Self.subject(parts[0]), Self.scope(request))
                return APIReply(Self.numbers(Self.page(versions, request)))
            },
            change(.post, "subjects/{}/versions", register),
            ask("subjects/{}") { [store] request, parts in
                let schema = try RegistryBody(request.body).schema()
                let found = try store.find(
                    schema, in: Self.subject(parts[0]), includingDeleted: request.flag("deleted"))
                return APIReply(found.json)
            },
            change(.delete, "subjects/{}") { [store] request, parts in
                let versions = try store.delete(
                    subject: Self.subject(parts[0]), permanently: request.flag("permanent"))
                return APIReply(Self.numbers(versions[...]))
            },
            get("subjects/{}/versions/{}") { request, parts in
                APIReply(try version(request, parts).json)
            },
            get("subjects/{}/versions/{}/schema") { request, parts in
                APIReply(status: 200, text: try version(request, parts).text, contentType: nil)
            },
            get("subjects/{}/versions/{}/referencedby") { [store] request, parts in
                let schemas = try store.referencedBy(Self.subject(parts[0]), VersionSelector(checking: parts[1]))
                return APIReply(Self.numbers(Self.page(schemas.map(\.id), request)))
            },
            change(.delete, "subjects/{}/versions/{}") { [store] request, parts in
                let version = try store.delete(
                    subject: Self.subject(parts[0]), VersionSelector(checking: parts[1]),
                    permanently: request.flag("permanent"))
                return APIReply(.number(JSONNumber(version)))
            },
            ask("compatibility/subjects/{}/versions") { request, parts in
                try compatibility(request, Self.subject(parts[0]), nil)
            },
            ask("compatibility/subjects/{}/versions/{}") { request, parts in
                try compatibility(request, Self.subject(parts[0]), VersionSelector(checking: parts[1]))
            },
        ]
    }

    /// Older clients fail on members that they do not know, so that they get the id alone.
    private func register(_ request: APIRequest, _ parts: [String]) throws -> APIReply {
        let schema = try RegistryBody(request.body).schema()
        let registered = try store.register(schema, subject: Self.subject(parts[0]))
        let id: JSONValue = .number(JSONNumber(registered.id))
        return APIReply(request.acceptsMore ? registered.json : ["id": id])
    }

    private func version(_ request: APIRequest, _ parts: [String]) throws -> RegisteredSchema {
        try store.schema(
            of: Self.subject(parts[0]), VersionSelector(checking: parts[1]), includingDeleted: request.flag("deleted"))
    }

    private func compatibility(
        _ request: APIRequest, _ subject: String, _ version: VersionSelector?
    ) throws -> APIReply {
        let report = try store.compatibility(of: RegistryBody(request.body).schema(), with: subject, version)
        let isCompatible: JSONValue = .bool(report.isCompatible)
        guard request.flag("verbose") else { return APIReply(["is_compatible": isCompatible]) }
        let messages = report.messages.map { JSONValue.string($0) }
        return APIReply(["is_compatible": isCompatible, "messages": .array(messages)])
    }

    /// The beginning of names that is asked for. `:*:` stands for all contexts.
    static func prefix(_ request: APIRequest) -> String {
        let prefix = request.query["subjectPrefix"] ?? ""
        return prefix.hasPrefix(":*:") ? String(prefix.dropFirst(3)) : subject(prefix)
    }

    private static func numbers(_ numbers: ArraySlice<Int>) -> JSONValue {
        .array(numbers.map { .number(JSONNumber($0)) })
    }
}

import JSONText
import SchemaRegistry

/// Schemas by what they are instead of where.
extension RegistryAPI {
    var schemaRoutes: [Route] {
        [
            get("schemas") { [store] request, _ in
                let schemas = try store.schemas(
                    prefix: Self.prefix(request), request.flag("deleted") ? .all : .live,
                    latestOnly: request.flag("latestOnly"))
                return APIReply(.array(Self.page(schemas, request).map(\.json)))
            },
            get("schemas/ids/{}") { request, parts in
                var members = try schema(request, parts).content
                if request.flag("fetchMaxId") {
                    members.append(
                        JSONObject.Member(name: "maxId", value: .number(JSONNumber(try store.highestID()))))
                }
                return APIReply(.object(JSONObject(members)))
            },
            get("schemas/ids/{}/schema") { request, parts in
                APIReply(status: 200, text: try schema(request, parts).text, contentType: nil)
            },
            get("schemas/ids/{}/subjects") { request, parts in
                var names: [String] = []
                for use in try uses(request, parts) where names.last?.utf8.elementsEqual(use.subject.utf8) != true {
                    names.append(use.subject)
                }
                return APIReply(.array(Self.page(names, request).map { .string($0) }))
            },
            get("schemas/ids/{}/versions") { request, parts in
                let uses = try uses(request, parts)
                return APIReply(
                    .array(
                        Self.page(uses, request).map {
                            ["subject": .string($0.subject), "version": .number(JSONNumber($0.version))]
                        }))
            },
            get("schemas/guids/{}") { [store] _, parts in
                let schema = try store.schema(guid: parts[0])
                let guid = JSONObject.Member(name: "guid", value: .string(schema.guid))
                return APIReply(.object(JSONObject([guid] + schema.content)))
            },
        ]
    }

    private func schema(_ request: APIRequest, _ parts: [String]) throws -> RegisteredSchema {
        try store.schema(id: try Self.id(parts[0]), preferring: request.query["subject"].map(Self.subject))
    }

    /// Where a schema is registered, by subject and version; with `subject`, there only.
    private func uses(_ request: APIRequest, _ parts: [String]) throws -> [SubjectVersion] {
        let wanted = request.query["subject"].flatMap { $0.isEmpty ? nil : Self.subject($0) }
        return try store.uses(ofID: try Self.id(parts[0]), request.flag("deleted") ? .all : .live)
            .filter { wanted == nil || $0.subject == wanted }
            .sorted { ($0.subject, $0.version) < ($1.subject, $1.version) }
    }

    private static func id(_ text: String) throws(HTTPProblem) -> Int {
        guard let id = Int(text), id > 0 else { throw .notFound("an id is a whole number above 0") }
        return id
    }
}

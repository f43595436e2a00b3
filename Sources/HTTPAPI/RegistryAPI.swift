import JSONText
package import SchemaRegistry

/// The schema registry over HTTP, as clients of the Confluent Schema Registry speak it: the same paths, bodies, numbers
/// of errors and rules of deletion. Schemas are JSON Schema only.
///
/// See `docs/reference/http.md`.
package struct RegistryAPI: Sendable {
    let store: SchemaStore
    private let pipelineName: String
    private let version: String
    private let reading = RegistryLane("registry reads")
    private let writing = RegistryLane("registry writes")

    /// The interface of a registry. Name and version of the program are told to those who ask.
    package init(_ store: SchemaStore, pipelineName: String, version: String) {
        self.store = store
        self.pipelineName = pipelineName
        self.version = version
    }

    /// Everything that clients ask for.
    package var routes: [Route] {
        subjectRoutes + schemaRoutes + settingRoutes + [
            get("schemas/types") { _, _ in APIReply(["JSON"]) },
            get("contexts") { _, _ in APIReply(["."]) },
            get("v1/metadata/id") { [pipelineName] _, _ in
                let clusters: JSONValue = ["schema-registry-cluster": .string(pipelineName)]
                return APIReply(["id": .string(pipelineName), "scope": ["path": [], "clusters": clusters]])
            },
            get("v1/metadata/version") { [version] _, _ in
                APIReply(["version": .string(version), "commitId": ""])
            },
        ]
    }

    /// What a route does; failures are ``HTTPProblem`` or ``RegistryFailure``.
    typealias Work = @Sendable (_ request: APIRequest, _ parts: [String]) throws -> APIReply

    /// A route that changes nothing.
    func get(_ pattern: String, _ work: @escaping Work) -> Route { route(.get, pattern, reading, work) }

    /// A route that changes nothing either, but takes a body.
    func ask(_ pattern: String, _ work: @escaping Work) -> Route { route(.post, pattern, reading, work) }

    /// A route that may change something.
    func change(_ method: APIRequest.Method, _ pattern: String, _ work: @escaping Work) -> Route {
        route(method, pattern, writing, work)
    }

    private func route(
        _ method: APIRequest.Method, _ pattern: String, _ lane: RegistryLane, _ work: @escaping Work
    ) -> Route {
        Route(method, pattern) { request, parts throws(HTTPProblem) in
            try await lane.reply { try work(request, parts) }
        }
    }

    /// A subject's name as the store has it. The default context may be written before it; there are no others.
    static func subject(_ name: String) -> String { name.hasPrefix(":.:") ? String(name.dropFirst(3)) : name }

    /// What to look for, from the parameters that lists of subjects and versions have.
    static func scope(_ request: APIRequest) -> DeletionScope {
        if request.flag("deletedOnly") || request.flag("deleted_only") { return .deletedOnly }
        return request.flag("deleted") ? .all : .live
    }

    /// The part of a list that `offset` and `limit` ask for; a negative limit is none.
    static func page<Item>(_ items: [Item], _ request: APIRequest) -> ArraySlice<Item> {
        let rest = items.dropFirst(max(0, request.number("offset") ?? 0))
        guard let limit = request.number("limit"), limit >= 0 else { return rest }
        return rest.prefix(limit)
    }
}

extension RegisteredSchema {
    /// The members that tell what the schema says, without where it is.
    var content: [JSONObject.Member] {
        var members = [
            JSONObject.Member(name: "schemaType", value: "JSON"),
            JSONObject.Member(name: "schema", value: .string(text)),
        ]
        if !references.isEmpty {
            members.append(JSONObject.Member(name: "references", value: .array(references.map(\.json))))
        }
        return members
    }

    /// All of it.
    var json: JSONValue {
        .object(
            JSONObject(
                [
                    JSONObject.Member(name: "subject", value: .string(subject)),
                    JSONObject.Member(name: "version", value: .number(JSONNumber(version))),
                    JSONObject.Member(name: "id", value: .number(JSONNumber(id))),
                    JSONObject.Member(name: "guid", value: .string(guid)),
                ] + content))
    }
}

extension SchemaReference {
    fileprivate var json: JSONValue {
        ["name": .string(name), "subject": .string(subject), "version": .number(JSONNumber(version))]
    }
}

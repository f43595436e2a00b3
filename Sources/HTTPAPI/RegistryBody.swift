import JSONText
import SchemaRegistry

/// The bodies that the registry takes.
struct RegistryBody {
    private let members: JSONObject

    /// Bodies are nested no deeper; the schema itself is text inside.
    private static let depthMax = 32

    /// Reads a body. Throws 400 for what is no JSON object in UTF-8.
    init(_ bytes: [UInt8]) throws(HTTPProblem) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, depthMax: Self.depthMax)
        } catch {
            throw HTTPProblem(400, "the body is no JSON: \(error)")
        }
        guard let members = value.object else { throw HTTPProblem(400, "the body is no JSON object") }
        if let name = value.repeatedName { throw HTTPProblem(400, "the body has more than one \"\(name)\"") }
        self.members = members
    }

    /// The schema that somebody hands in. Without a `schemaType` it is Avro, as it always was in this interface.
    func schema() throws(HTTPProblem) -> SubmittedSchema {
        guard let text = try text("schema") else { throw Self.invalid("the body has no member \"schema\"") }
        for name in ["ruleSet", "metadata"] where !isEmpty(name) {
            throw Self.invalid(
                "\"\(name)\" is not kept here, and would not hold: leave it out")
        }
        return SubmittedSchema(
            text, type: try self.text("schemaType") ?? "AVRO", references: try references(),
            id: try positive("id"), version: try positive("version"))
    }

    /// The level of `{"compatibility": "FULL"}`, as text.
    func level() throws(HTTPProblem) -> String {
        for name in Self.unkeptSettings where !isEmpty(name) {
            throw HTTPProblem(422, code: 42203, "\"\(name)\" is not kept here, and would not hold: leave it out")
        }
        for name in ["compatibility", "compatibilityLevel"] {
            if let level = try text(name, code: 42203) { return level }
        }
        throw HTTPProblem(422, code: 42203, "the body has no member \"compatibility\"")
    }

    /// The mode of `{"mode": "READONLY"}`, as text.
    func mode() throws(HTTPProblem) -> String {
        guard let mode = try text("mode", code: 42204) else {
            throw HTTPProblem(422, code: 42204, "the body has no member \"mode\"")
        }
        return mode
    }

    private static let unkeptSettings = [
        "compatibilityGroup", "defaultMetadata", "overrideMetadata", "defaultRuleSet", "overrideRuleSet", "alias",
    ]

    private static func invalid(_ message: String) -> HTTPProblem { HTTPProblem(422, code: 42201, message) }

    /// True for a member that is not there, or says nothing.
    private func isEmpty(_ name: String) -> Bool { members[name].map(Self.saysNothing) ?? true }

    private static func saysNothing(_ value: JSONValue) -> Bool {
        switch value {
        case .null: true
        case .array(let items): items.isEmpty
        case .object(let object): object.members.allSatisfy { saysNothing($0.value) }
        default: false
        }
    }

    private func text(_ name: String, code: Int = 42201) throws(HTTPProblem) -> String? {
        guard let value = members[name], !value.isNull else { return nil }
        guard let text = value.string else { throw HTTPProblem(422, code: code, "\"\(name)\" is no string") }
        return text
    }

    /// A number that is asked for; clients send 0 and -1 for none.
    private func positive(_ name: String) throws(HTTPProblem) -> Int? {
        guard let value = members[name], !value.isNull else { return nil }
        guard let number = value.number?.integer else { throw Self.invalid("\"\(name)\" is no whole number") }
        return number > 0 ? number : nil
    }

    private func references() throws(HTTPProblem) -> [SchemaReference] {
        guard let value = members["references"], !value.isNull else { return [] }
        guard let items = value.array else { throw Self.invalid("\"references\" is no array") }
        var references: [SchemaReference] = []
        for item in items {
            guard let name = item["name"]?.string, let subject = item["subject"]?.string,
                let version = item["version"]?.number?.integer
            else { throw Self.invalid("a reference has a \"name\", a \"subject\" and a \"version\"") }
            references.append(SchemaReference(name: name, subject: subject, version: version))
        }
        return references
    }
}

extension JSONValue {
    /// A name that members of an object in here share: readers differ in which of them they believe.
    var repeatedName: String? {
        switch self {
        case .array(let items): return items.lazy.compactMap(\.repeatedName).first
        case .object(let object):
            var names: Set<String> = []
            for member in object.members {
                if !names.insert(member.name).inserted { return member.name }
                if let name = member.value.repeatedName { return name }
            }
            return nil
        default: return nil
        }
    }
}

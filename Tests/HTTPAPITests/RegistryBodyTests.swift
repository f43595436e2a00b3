import SchemaRegistry
import Testing

@testable import HTTPAPI

/// The bodies that the registry takes.
struct RegistryBodyTests {
    private func code(_ text: String, _ read: (RegistryBody) throws -> Void) -> Int {
        do {
            try read(try RegistryBody(Array(text.utf8)))
            return 200
        } catch {
            return (error as? HTTPProblem)?.code ?? 0
        }
    }

    @Test func aSchemaIsReadWithAllItsParts() throws {
        let schema = try RegistryBody(
            Array(
                """
                {"schema": "{}", "schemaType": "JSON", "id": 5, "version": -1, "unknown": [1],
                 "references": [{"name": "n", "subject": "s", "version": 3}], "metadata": null, "ruleSet": {}}
                """.utf8)
        ).schema()
        #expect(schema.text == "{}" && schema.type == "JSON" && schema.id == 5 && schema.version == nil)
        #expect(schema.references == [SchemaReference(name: "n", subject: "s", version: 3)])
        #expect(try RegistryBody(Array(#"{"schema": "x"}"#.utf8)).schema().type == "AVRO")
    }

    @Test func whatIsNoBodyIsRefused() throws {
        for text in ["", "{", "[]", "null", "\"x\"", "{} {}", String(repeating: "[", count: 100_000)] {
            #expect(code(text) { _ = try $0.schema() } == 400, "\(text.prefix(20))")
        }
        #expect(throws: HTTPProblem.self) { try RegistryBody([0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D]) }
        for text in [
            "{}", #"{"schema": 1}"#, #"{"schema": null}"#, #"{"schema": "{}", "schemaType": 1}"#,
            #"{"schema": "{}", "references": {}}"#, #"{"schema": "{}", "references": [{"name": "n"}]}"#,
            #"{"schema": "{}", "id": "5"}"#, #"{"schema": "{}", "id": 1.5}"#,
        ] {
            #expect(code(text) { _ = try $0.schema() } == 42201, "\(text)")
        }
    }

    /// A rule may say that a field is encrypted: whoever registers it would believe that it is.
    @Test func rulesThatWouldNotHoldAreNotTakenSilently() {
        let rules = #"{"schema": "{}", "schemaType": "JSON", "ruleSet": {"domainRules": [{"type": "ENCRYPT"}]}}"#
        #expect(code(rules) { _ = try $0.schema() } == 42201)
        let metadata = #"{"schema": "{}", "schemaType": "JSON", "metadata": {"tags": {"a": ["PII"]}}}"#
        #expect(code(metadata) { _ = try $0.schema() } == 42201)
        #expect(code(#"{"schema": "{}", "metadata": {"tags": {}, "sensitive": []}}"#) { _ = try $0.schema() } == 200)
        let level = #"{"compatibility": "FULL", "defaultRuleSet": {"domainRules": [{"type": "ENCRYPT"}]}}"#
        #expect(code(level) { _ = try $0.level() } == 42203)
    }

    @Test func levelsAndModesAreReadAsText() throws {
        #expect(try RegistryBody(Array(#"{"compatibility": "FULL", "normalize": true}"#.utf8)).level() == "FULL")
        #expect(try RegistryBody(Array(#"{"compatibilityLevel": "NONE"}"#.utf8)).level() == "NONE")
        #expect(code("{}") { _ = try $0.level() } == 42203)
        #expect(code(#"{"compatibility": 1}"#) { _ = try $0.level() } == 42203)
        #expect(try RegistryBody(Array(#"{"mode": "READONLY"}"#.utf8)).mode() == "READONLY")
        #expect(code("{}") { _ = try $0.mode() } == 42204)
    }

    /// Clients and servers that believe in different ones of two members would register different schemas.
    @Test func aMemberThatStandsTwiceIsRefused() {
        for text in [
            #"{"schema": "{}", "schema": "[]"}"#, #"{"schema": "{}", "schem\u0061": "{}"}"#,
            #"{"schema": "{}", "references": [{"name": "a", "name": "b", "subject": "s", "version": 1}]}"#,
        ] {
            let problem = #expect(throws: HTTPProblem.self, "\(text)") { try RegistryBody(Array(text.utf8)) }
            #expect(problem?.status == 400 && problem?.message.contains("more than one") == true)
        }
    }
}

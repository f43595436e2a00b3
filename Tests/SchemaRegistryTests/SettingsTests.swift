import ConnectorKit
import Foundation
import JSONSchema
import SchemaRegistry
import Testing

@Suite struct SettingsTests {
    @Test func levelOfASubjectGoesBeforeTheDefault() throws {
        let store = try Workplace().store
        #expect(try store.level(of: nil) == .backward && store.level(of: "s") == nil)
        try store.setLevel(.none, of: nil)
        #expect(try store.effectiveLevel(of: "s") == .none)
        try store.setLevel(.fullTransitive, of: "s")
        #expect(try store.effectiveLevel(of: "s") == .fullTransitive && store.effectiveLevel(of: "t") == .none)
        #expect(try store.clearLevel(of: "s") == .fullTransitive)
        #expect(code { try store.clearLevel(of: "s") } == .subjectLevelNotSet)
        #expect(try store.effectiveLevel(of: "s") == .none)
        #expect(try store.clearLevel(of: nil) == .none && store.level(of: nil) == .backward)
        #expect(try store.subjects(.all) == [], "a setting makes no subject")
    }

    @Test func settingsThatSayNothingLeaveNoFile() throws {
        let place = try Workplace()
        try place.store.setLevel(.full, of: "s")
        #expect(try place.text("s/subject.json") == "{\n  \"compatibility\": \"FULL\"\n}\n")
        try place.store.clearLevel(of: "s")
        #expect(try place.names("s") == [])
        try place.store.setMode(.readOnly, of: nil)
        #expect(try place.text("registry.json") == "{\n  \"mode\": \"READONLY\"\n}\n")
    }

    @Test(arguments: CompatibilityLevel.allCases)
    func everyLevelComparesWithTheVersionsAndDirectionsThatItNames(_ level: CompatibilityLevel) throws {
        let place = try Workplace()
        let store = place.store
        try store.setLevel(.none, of: "s")
        for type in ["string", "integer", "number"] {
            _ = try store.register(schema(["a": type], required: ["a"]), subject: "s")
        }
        try store.setLevel(level, of: "s")
        let report = try store.compatibility(of: schema(["a": "integer"], required: ["a"]), with: "s")
        let seen = Set(report.breaks.map { "\($0.direction.rawValue) \($0.version ?? 0)" })
        let expected: Set<String> =
            switch level {
            case .none: []
            case .backward: ["BACKWARD 3"]
            case .backwardTransitive: ["BACKWARD 3", "BACKWARD 1"]
            case .forward: []
            case .forwardTransitive: ["FORWARD 1"]
            case .full: ["BACKWARD 3"]
            case .fullTransitive: ["BACKWARD 3", "BACKWARD 1", "FORWARD 1"]
            }
        #expect(seen == expected)
        #expect(report.isCompatible == expected.isEmpty)
        let outcome = code {
            try store.register(schema(["a": "integer", "b": "string"], required: ["a"]), subject: "s")
        }
        #expect((outcome == .incompatible) == !expected.isEmpty)
    }

    @Test func oneVersionIsComparedAlone() throws {
        let store = try Workplace().store
        try store.setLevel(.none, of: "s")
        for type in ["string", "number"] { _ = try store.register(schema(["a": type]), subject: "s") }
        try store.setLevel(.backward, of: "s")
        let submitted = schema(["a": "string"])
        #expect(try store.compatibility(of: submitted, with: "s", .number(1)).isCompatible)
        #expect(try !store.compatibility(of: submitted, with: "s", .number(2)).isCompatible)
        #expect(try !store.compatibility(of: submitted, with: "s", .latest).isCompatible)
        #expect(try store.compatibility(of: submitted, with: "nobody", .latest).isCompatible)
        #expect(code { try store.compatibility(of: submitted, with: "s", .number(9)) } == .versionNotFound)
        #expect(code { try store.compatibility(of: submitted, with: "nobody", .number(1)) } == .subjectNotFound)
    }

    @Test func readOnlySubjectIsNotChanged() throws {
        let store = try Workplace().store
        _ = try store.register(schema(["a": "string"]), subject: "s")
        try store.setMode(.readOnly, of: "s")
        #expect(code { try store.register(schema(["b": "string"]), subject: "s") } == .notPermitted)
        #expect(code { try store.delete(subject: "s", permanently: false) } == .notPermitted)
        #expect(code { try store.delete(subject: "s", .latest, permanently: false) } == .notPermitted)
        #expect(try store.register(schema(["b": "string"]), subject: "t").version == 1)
        #expect(try store.clearMode(of: "s") == .readOnly)
        #expect(code { try store.clearMode(of: "s") } == .subjectModeNotSet)
        #expect(try store.register(schema(["b": "string"]), subject: "s").version == 2)
    }

    @Test func importKeepsIdsAndVersions() throws {
        let place = try Workplace()
        let store = place.store
        func submit(_ name: String, id: Int?, version: Int?) -> SubmittedSchema {
            var submitted = schema([name: "string"])
            (submitted.id, submitted.version) = (id, version)
            return submitted
        }
        #expect(code { try store.register(submit("a", id: 7, version: 3), subject: "s") } == .notPermitted)
        try store.setMode(.importing, of: "s")
        #expect(code { try store.register(submit("a", id: nil, version: nil), subject: "s") } == .notPermitted)
        let made = try store.register(submit("a", id: 7, version: 3), subject: "s")
        #expect(made.id == 7 && made.version == 3)
        // Nothing is tested, older versions may come later, and the same may come twice.
        #expect(try store.register(submit("b", id: 6, version: 1), subject: "s").version == 1)
        #expect(try store.register(submit("a", id: 7, version: 3), subject: "s") == made)
        #expect(code { try store.register(submit("a", id: 8, version: 3), subject: "s") } == .idMismatch)
        #expect(code { try store.register(submit("c", id: 7, version: 4), subject: "s") } == .notPermitted)
        #expect(code { try store.register(submit("c", id: 9, version: 3), subject: "s") } == .notPermitted)
        #expect(try place.store.schema(id: 7).version == 3 && place.store.schema(id: 6).version == 1)
        // The schema keeps its id wherever it is registered later.
        try store.setLevel(.none, of: nil)
        #expect(try store.register(schema(["a": "string"]), subject: "t").id == 7)
        #expect(try place.store.uses(ofID: 7).count == 2)
        #expect(code { try store.setMode(.importing, of: "t") } == .notPermitted)
        try store.setMode(.importing, of: "t", force: true)
        #expect(code { try store.setMode(.importing, of: nil) } == .notPermitted)
    }

    @Test func nextVersionMayBeNamedAndNoOther() throws {
        let store = try Workplace().store
        var submitted = schema(["a": "string"])
        submitted.version = 2
        #expect(code { try store.register(submitted, subject: "s") } == .invalidSchema)
        submitted.version = 1
        #expect(try store.register(submitted, subject: "s").version == 1)
    }

    @Test(arguments: [
        ("{\n  \"compatibility\": \"SOME\"\n}", 2, "compatibility"), ("{\n\n \"mode\": 5}", 3, "mode"),
        ("{\"deleted\": [1,\n 0]}", 2, "deleted"), ("{\"ids\": {\"1\": 5,\n \"x\": 3}}", 2, "x"),
        ("{\"references\": {\"1\": [{\"name\": \"a\",\n\"subject\": 3}]}}", 2, "subject"),
        ("{\n\n\"compatability\": \"FULL\"}", 3, "compatability"), ("[]", 1, "object"), ("{\"a\": }", 1, "value"),
        ("{\"last_version\": 1.5}", 1, "last_version"), ("{\"mode\": \"IMPORT\",\n\"mode\": \"IMPORT\"}", 2, "mode"),
    ])
    func brokenFileIsNamedWithItsLine(_ text: String, _ line: Int, _ word: String) throws {
        let place = try Workplace()
        _ = try place.store.register(schema(["a": "string"]), subject: "s")
        _ = try place.store.register(schema(["a": "string"]), subject: "t")
        try place.write(text, "s/subject.json")
        let store = place.store
        let failure = #expect(throws: RegistryFailure.self) { try store.versions(of: "s") }
        #expect(failure?.code == .storage && failure?.storage?.code == "schema.damaged")
        #expect(failure?.message.hasPrefix(place.file("s/subject.json") + ":\(line):") == true, "\(failure as Any)")
        #expect(failure?.message.contains(word) == true)
        // What is broken there hides nothing elsewhere.
        #expect(try store.versions(of: "t") == [1])
        try FileManager.default.removeItem(atPath: place.file("s/subject.json"))
        #expect(try store.versions(of: "s") == [1])
    }

    @Test func unresolvedMergeIsNamed() throws {
        let place = try Workplace()
        _ = try place.store.register(schema(["a": "string"]), subject: "s")
        try place.write("{\n<<<<<<< HEAD\n  \"a\": 1\n=======\n  \"b\": 1\n>>>>>>> other\n}\n", "s/v2.schema.json")
        let failure = #expect(throws: RegistryFailure.self) { try place.store.schema(of: "s", .latest) }
        #expect(failure?.storage?.code == "schema.merge_conflict")
        #expect(
            failure?.message == place.file("s/v2.schema.json") + ":2: an unresolved merge: two branches added version 2"
        )
    }

    @Test func twoSchemasOfOneIdAreNamed() throws {
        let place = try Workplace()
        let made = try place.store.register(schema(["a": "string"]), subject: "s")
        _ = try place.store.register(schema(["b": "string"]), subject: "t")
        try place.write("{\"ids\": {\"1\": \(made.id)}}", "t/subject.json")
        let store = place.store
        _ = try store.highestID()
        let failure = #expect(throws: RegistryFailure.self) { try store.schema(id: made.id) }
        #expect(failure?.storage?.code == "schema.id_conflict")
        for file in ["s/v1.schema.json", "t/v1.schema.json"] {
            #expect(failure?.message.contains(place.file(file)) == true)
        }
        #expect(try store.schema(of: "t", .latest).id == made.id, "by its own name it is found")
    }
}

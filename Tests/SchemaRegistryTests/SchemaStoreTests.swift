import ConnectorKit
import Foundation
import JSONSchema
import JSONText
import SchemaRegistry
import Testing

@Suite struct SchemaStoreTests {
    @Test func registeredSchemaIsFoundByEveryName() throws {
        let place = try Workplace()
        let made = try place.store.register(schema(["a": "string"]), subject: "s")
        #expect(made.version == 1 && made.subject == "s" && !made.isDeleted && made.id > 0)
        let store = place.store
        #expect(try store.schema(of: "s", .number(1)) == made)
        #expect(try store.schema(of: "s", .latest) == made)
        #expect(try store.schema(id: made.id) == made)
        #expect(try store.schema(guid: made.guid.uppercased()) == made)
        #expect(try store.find(schema(["a": "string"]), in: "s") == made)
        #expect(try store.subjects() == ["s"] && store.versions(of: "s") == [1])
        #expect(try store.uses(ofID: made.id) == [SubjectVersion(subject: "s", version: 1)])
        #expect(try store.highestID() == made.id)
        #expect(try store.schemas() == [made])
        #expect(try JSONValue(parsing: made.text)["properties"]?["a"] != nil && !made.text.contains("\n"))
        // What there is to say of it is said by the file alone.
        #expect(try place.names("s") == ["v1.schema.json"] && place.names() == ["s"])
    }

    @Test func sameContentIsOneVersionAndOneIdEverywhere() throws {
        let place = try Workplace()
        let made = try place.store.register(SubmittedSchema(#"{"type": "object", "title": "x"}"#), subject: "s")
        let again = try place.store.register(SubmittedSchema(#"{"title":"x",  "type":"object"}"#), subject: "s")
        #expect(again == made)
        let other = try place.store.register(SubmittedSchema(#"{"title":"x","type":"object"}"#), subject: "t")
        #expect(other.id == made.id && other.guid == made.guid && other.version == 1)
        #expect(try place.store.uses(ofID: made.id).map(\.subject) == ["s", "t"])
        #expect(try place.store.schema(id: made.id, preferring: "t").subject == "t")
        // Another folder gives the same id: nothing but the content decides it.
        let elsewhere = try Workplace()
        _ = try elsewhere.store.register(schema(["z": "string"]), subject: "u")
        let there = try elsewhere.store.register(SubmittedSchema(#"{"title":"x","type":"object"}"#), subject: "v")
        #expect(there.id == made.id && there.guid == made.guid)
    }

    @Test func idsAndGUIDsStayAsTheyAre() throws {
        // Consumers have them: whoever changes how they are made breaks every message that is out.
        let made = try Workplace().store.register(SubmittedSchema(#"{"type":"object"}"#), subject: "s")
        #expect(made.id == 1_657_248_038 && made.guid == "a2c79926-2a3c-83c1-9ef5-cdd983bf3d12")
    }

    @Test func folderThatOnlyHasSchemasHasIds() throws {
        let place = try Workplace()
        _ = try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        _ = try place.folder.register(derivedFrom: relation(width: 2), subject: "s")
        let first = try place.store.schema(of: "s", .number(1))
        let second = try place.store.schema(of: "s", .latest)
        #expect(second.version == 2 && first.id != second.id)
        #expect(try place.store.schema(id: second.id).version == 2)
        #expect(try place.names("s") == ["v1.schema.json", "v2.schema.json"])
    }

    @Test func unknownThingsHaveTheirCodes() throws {
        let place = try Workplace()
        #expect(try place.store.subjects() == [])
        #expect(code { try place.store.versions(of: "s") } == .subjectNotFound)
        #expect(code { try place.store.schema(of: "s", .latest) } == .subjectNotFound)
        #expect(code { try place.store.schema(id: 1) } == .schemaNotFound)
        #expect(code { try place.store.schema(guid: "1-2") } == .schemaNotFound)
        _ = try place.store.register(schema(["a": "string"]), subject: "s")
        #expect(code { try place.store.schema(of: "s", .number(2)) } == .versionNotFound)
        #expect(code { try place.store.find(schema(["b": "string"]), in: "s") } == .schemaNotFound)
        #expect(code { try place.store.find(schema(["a": "string"]), in: "t") } == .subjectNotFound)
        #expect(code { try place.store.uses(ofID: 5) } == .schemaNotFound)
        #expect(code { try VersionSelector(checking: "0") } == .invalidVersion)
        #expect(code { try VersionSelector(checking: "v1") } == .invalidVersion)
        #expect(try VersionSelector(checking: "-1") == .latest)
        #expect(code { try CompatibilityLevel(checking: "SIDEWAYS") } == .invalidLevel)
        #expect(code { try RegistryMode(checking: "") } == .invalidMode)
        #expect(RegistryFailure.Code.allCases.map { RegistryFailure($0, "").httpStatus }.allSatisfy { 404...500 ~= $0 })
    }

    @Test(arguments: [
        ("{\"type\": \"strin\"}", "JSON", RegistryFailure.Code.invalidSchema), ("{", "JSON", .invalidSchema),
        ("[]", "JSON", .invalidSchema), ("\"string\"", "AVRO", .invalidSchema), ("{}", "PROTOBUF", .invalidSchema),
        ("{\"$ref\": \"other.json\"}", "JSON", .invalidSchema),
        ("{\"title\": \"" + String(repeating: "x", count: 5 << 20) + "\"}", "JSON", .tooLarge),
    ])
    func schemaThatCannotBeUsedIsRefused(_ text: String, _ type: String, _ expected: RegistryFailure.Code) throws {
        let place = try Workplace()
        #expect(code { try place.store.register(SubmittedSchema(text, type: type), subject: "s") } == expected)
        #expect(!FileManager.default.fileExists(atPath: place.folder.directory))
    }

    @Test func placeInTheSchemaIsNamed() throws {
        let place = try Workplace()
        let failure = #expect(throws: RegistryFailure.self) {
            try place.store.register(
                SubmittedSchema("{\n  \"properties\": {\n    \"a\": {\"type\": \"strin\"}\n  }\n}"), subject: "s")
        }
        #expect(failure?.message.hasPrefix("line 3, column 19, #/properties/a/type: ") == true, "\(failure as Any)")
    }

    @Test(arguments: ["", "__GLOBAL", "a\nb", String(repeating: "a", count: 256)])
    func nameThatNoSubjectCanHaveIsRefused(_ subject: String) throws {
        let place = try Workplace()
        #expect(code { try place.store.register(schema(["a": "string"]), subject: subject) } == .invalidSubject)
    }

    @Test func subjectMayBeCalledLikeTheRegistrysFile() throws {
        let place = try Workplace()
        try place.store.setLevel(.full, of: nil)
        for name in ["registry.json", "subject.json", "../x", "a/b", ".", ":.:x"] {
            _ = try place.store.register(schema(["a": "string"]), subject: name)
            #expect(try place.store.versions(of: name) == [1])
        }
        #expect(try place.store.level(of: nil) == .full)
        #expect(try place.store.subjects().count == 6)
    }

    @Test func otherFilesInTheFolderAreNoSubjects() throws {
        let place = try Workplace()
        _ = try place.store.register(schema(["a": "string"]), subject: "s")
        try place.write("# about", "README.md")
        try place.write("{}", "other.schema.json")
        #expect(try place.store.subjects() == ["s"] && place.folder.subjects() == ["s"])
        #expect(try place.store.schemas().count == 1)
    }
}

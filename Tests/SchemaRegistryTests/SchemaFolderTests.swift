import ChangeModel
import ConnectorKit
import Foundation
import JSONText
import SchemaRegistry
import Testing

@Suite struct SchemaFolderTests {
    @Test func sameSchemaKeepsItsVersion() throws {
        let place = try Workplace()
        for _ in 0..<3 { #expect(try place.folder.register(derivedFrom: relation(width: 1), subject: "s") == 1) }
        // Neither the order of columns nor white space makes a version.
        let reversed = relation(Array(relation(width: 1).columns.reversed()))
        #expect(try place.folder.register(derivedFrom: reversed, subject: "s") == 1)
        let compact = try JSONValue(parsing: place.text("s/v1.schema.json")).compactText
        try place.write(compact, "s/v1.schema.json")
        #expect(try place.folder.register(derivedFrom: relation(width: 1), subject: "s") == 1)
        #expect(try place.text("s/v1.schema.json") == compact)
    }

    @Test func changedTableMakesTheNextVersion() throws {
        let place = try Workplace()
        let first = try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        let text = try place.text("s/v1.schema.json")
        let second = try place.folder.register(derivedFrom: relation(width: 2), subject: "s")
        let third = try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        // A table that goes back to an earlier form is under the earlier version again.
        #expect(first == 1 && second == 2 && third == 1)
        #expect(try place.text("s/v1.schema.json") == text)
        #expect(try place.folder.versions(of: "s") == [1, 2])
        #expect(try place.folder.schema(of: "s", version: 3) == nil)
    }

    @Test func typeInTheDatabasesWordsMakesAVersion() throws {
        let place = try Workplace()
        for (type, version) in [("numeric(12,2)", 1), ("numeric(14,2)", 2)] {
            let table = relation([Column(name: "a", type: .numeric, typeName: type)])
            #expect(try place.folder.register(derivedFrom: table, subject: "s") == version)
        }
    }

    @Test func otherFilesAreLeftAlone() throws {
        let place = try Workplace()
        _ = try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        for name in [
            "s/notes.txt", "s/v07.schema.json", "s/v0.schema.json", "s/v+2.schema.json", "s/vx.schema.json",
        ] {
            try place.write("not JSON", name)
        }
        #expect(try place.folder.versions(of: "s") == [1])
        #expect(try place.folder.register(derivedFrom: relation(width: 2), subject: "s") == 2)
        #expect(try place.names("s").count == 7)
    }

    @Test func highestNumberCountsWhenOneIsMissing() throws {
        let place = try Workplace()
        for width in 1...11 { _ = try place.folder.register(derivedFrom: relation(width: width), subject: "s") }
        try FileManager.default.removeItem(atPath: place.file("s/v3.schema.json"))
        #expect(try place.folder.register(derivedFrom: relation(width: 11), subject: "s") == 11)
        #expect(try place.folder.register(derivedFrom: relation(width: 3), subject: "s") == 12)
    }

    @Test func brokenFileIsNamedWithItsLine() throws {
        let place = try Workplace()
        _ = try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        try place.write("{\n  \"type\": \"object\",\n}\n", "s/v1.schema.json")
        let failure = #expect(throws: ConnectorFailure.self) {
            try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        }
        #expect(failure?.code == "schema.damaged" && failure?.exitCode == 3)
        #expect(failure?.message == place.file("s/v1.schema.json") + ":3:1: expected a member's name in quotes")
        try place.write("[]", "s/v1.schema.json")
        let other = #expect(throws: ConnectorFailure.self) { try place.folder.latest(of: "s") }
        #expect(other?.code == "schema.damaged")
        #expect(try place.names("s") == ["v1.schema.json"])
    }

    @Test func fileInPlaceOfTheFolderIsNamed() throws {
        let place = try Workplace()
        try "".write(toFile: place.path + "/deep", atomically: false, encoding: .utf8)
        var failure = #expect(throws: ConnectorFailure.self) {
            try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        }
        #expect(failure?.code == "schema.directory" && failure?.setting == "schemas.directory")
        try FileManager.default.removeItem(atPath: place.path + "/deep")
        try place.makeFolder("")
        try place.write("", "s")
        failure = #expect(throws: ConnectorFailure.self) {
            try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        }
        #expect(failure?.code == "schema.directory" && failure?.message.contains(place.file("s")) == true)
    }

    @Test func folderInPlaceOfAFileIsNamed() throws {
        let place = try Workplace()
        try place.makeFolder("s/v1.schema.json")
        let failure = #expect(throws: ConnectorFailure.self) {
            try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        }
        #expect(failure?.code == "schema.read")
    }

    @Test func leftoverOfADeadProcessIsRemoved() throws {
        let place = try Workplace()
        try place.makeFolder("s")
        try place.write("half a sch", "s/.v1.schema.json.tmp")
        #expect(try place.folder.register(derivedFrom: relation(width: 1), subject: "s") == 1)
        #expect(try place.names("s") == ["v1.schema.json"])
    }

    @Test(arguments: [
        ("shop.public.orders", "shop.public.orders"), ("..", "%2E."), (".", "%2E"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"), ("/etc", "%2Fetc"), ("a b", "a%20b"), ("a%2Fb", "a%252Fb"),
        ("Größe.日本", "Größe.日本"), ("a\u{0}b\n", "a%00b%0A"), ("a\u{202E}b", "a%E2%80%AEb"), ("😀", "%F0%9F%98%80"),
        ("\u{E9}", "\u{E9}"), ("e\u{301}", "e\u{301}"), ("-", "-"), ("c:\\x", "c%3A%5Cx"),
        ("*?\"<>|'$&;", "%2A%3F%22%3C%3E%7C%27%24%26%3B"),
    ])
    func oddNameStaysInTheFolderAndComesBack(_ subject: String, _ name: String) throws {
        let place = try Workplace()
        #expect(try place.folder.register(derivedFrom: relation(width: 1), subject: subject) == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.path) == ["deep"])
        #expect(try place.names().map { Array($0.utf8) } == [Array(name.utf8)])
        #expect(try place.folder.subjects().map { Array($0.utf8) } == [Array(subject.utf8)])
    }

    @Test func nameThatNoSubjectHasIsNoSubject() throws {
        let place = try Workplace()
        for name in ["%2e", "%41", "a b", "%", "%2", "%FF", ".git"] { try place.makeFolder(name) }
        #expect(try place.folder.subjects() == [])
    }

    @Test(arguments: ["", String(repeating: "a", count: 256), String(repeating: " ", count: 86)])
    func subjectThatIsNoFileNameIsRefused(_ subject: String) throws {
        let place = try Workplace()
        let failure = #expect(throws: ConnectorFailure.self) {
            try place.folder.register(derivedFrom: relation(width: 1), subject: subject)
        }
        #expect(failure?.code == "schema.subject_name")
        #expect(!FileManager.default.fileExists(atPath: place.folder.directory))
    }

    @Test func racingThreadsNeverOverwriteAndNeverRepeat() async throws {
        let place = try Workplace()
        let folder = place.folder
        let results = try await withThrowingTaskGroup(of: [Int: Int].self) { group in
            for worker in 0..<8 {
                group.addTask {
                    var widths: [Int: Int] = [:]
                    for step in 0..<12 {
                        let width = (step + worker) % 12 + 1
                        widths[try folder.register(derivedFrom: relation(width: width), subject: "s")] = width
                    }
                    return widths
                }
            }
            return try await group.reduce(into: [Int: Set<Int>]()) { all, one in
                for (version, width) in one { all[version, default: []].insert(width) }
            }
        }
        let versions = try folder.versions(of: "s")
        #expect(versions == Array(1...versions.count) && Set(results.keys) == Set(versions))
        for (version, widths) in results {
            let schema = try #require(try folder.schema(of: "s", version: version))
            #expect(widths.count == 1)
            #expect(schema["properties"]?.object?.members.count == widths.first.map { $0 + 1 })
        }
        for version in versions.dropFirst() {
            let mine = try folder.schema(of: "s", version: version)
            #expect(mine != (try folder.schema(of: "s", version: version - 1)))
        }
        #expect(try place.names("s").count == versions.count)
    }
}

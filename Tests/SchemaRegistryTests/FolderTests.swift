import Foundation
import Testing

@testable import SchemaRegistry

@Suite struct FolderTests {
    /// Somebody who does not lock, such as a person with an editor, writes at the worst moment.
    @Test func fileThatAppearsMeanwhileIsNeverOverwritten() throws {
        let place = try Workplace()
        try place.makeFolder("s")
        let folder = try Folder(opening: place.file("s"))
        let isWritten = try folder.write("ours", as: "v1.schema.json") {
            #expect(throws: Never.self) {
                #expect(try place.text("s/.v1.schema.json.tmp") == "ours")
                try place.write("theirs", "s/v1.schema.json")
            }
        }
        #expect(!isWritten)
        #expect(try place.text("s/v1.schema.json") == "theirs")
        #expect(try place.names("s") == ["v1.schema.json"])
    }

    @Test func aFileWhoseNameIsAlmostThatOfAVersionIsNotPassedOverInSilence() throws {
        let place = try Workplace()
        try place.makeFolder("s")
        for name in ["v1.schema.json", "v01.schema.json", "V2.schema.json", "proposed-1.schema.json", "notes.md"] {
            try place.write("{}", "s/" + name)
        }
        let findings = try place.store.examine().findings
        #expect(findings.map(\.kind) == [.stray, .stray])
        #expect(findings.map(\.file) == [place.file("s/V2.schema.json"), place.file("s/v01.schema.json")])
    }

    @Test func fileHasItsNameOnlyWhenItIsWhole() throws {
        let place = try Workplace()
        try place.makeFolder("s")
        let folder = try Folder(opening: place.file("s"))
        var names: [String] = []
        let isWritten = try folder.write("ours", as: "v1.schema.json") { names = (try? place.names("s")) ?? [] }
        #expect(isWritten && names == [".v1.schema.json.tmp"])
        #expect(try place.names("s") == ["v1.schema.json"])
    }
}

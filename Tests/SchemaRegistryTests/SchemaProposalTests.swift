import ChangeModel
import ConnectorKit
import Foundation
import SchemaRegistry
import Testing

@Suite struct SchemaProposalTests {
    @Test func proposalIsNoVersionUntilItIsAccepted() throws {
        let place = try Workplace()
        #expect(try place.folder.register(derivedFrom: relation(width: 1), subject: "s") == 1)
        guard case .changed(let change) = try place.folder.look(for: relation(width: 2), subject: "s") else {
            Issue.record("another form was found registered")
            return
        }
        #expect(change.latest == 1)
        #expect(change.difference?.lines == ["column c1: added (text)"])
        let proposal = try #require(try place.folder.propose(derivedFrom: relation(width: 2), subject: "s"))
        #expect(proposal.path == place.file("s/proposed-1.schema.json"))
        #expect(try place.folder.versions(of: "s") == [1])
        // The same form is proposed once, another one beside it.
        #expect(try place.folder.propose(derivedFrom: relation(width: 2), subject: "s")?.number == 1)
        #expect(try place.folder.propose(derivedFrom: relation(width: 3), subject: "s")?.number == 2)
        #expect(try place.folder.accept(proposal, of: "s") == 2)
        #expect(try place.names("s") == ["proposed-2.schema.json", "v1.schema.json", "v2.schema.json"])
        guard case .registered(let contract) = try place.folder.look(for: relation(width: 2), subject: "s"),
            contract.version == 2
        else {
            Issue.record("the accepted form is not found")
            return
        }
    }

    @Test func acceptingTwiceIsAcceptingOnce() throws {
        let place = try Workplace()
        let proposal = try #require(try place.folder.propose(derivedFrom: relation(width: 1), subject: "s"))
        #expect(try place.folder.accept(proposal, of: "s") == 1)
        #expect(try place.folder.accept(proposal, of: "s") == 1)
        #expect(try place.names("s") == ["v1.schema.json"])
        // Whoever looked before the acceptance and proposes after it does not bring it back.
        #expect(try place.folder.propose(derivedFrom: relation(width: 1), subject: "s") == nil)
        #expect(try place.names("s") == ["v1.schema.json"])
    }

    @Test func lookingWritesNothing() throws {
        let place = try Workplace()
        guard case .changed(let change) = try place.folder.look(for: relation(width: 1), subject: "s") else {
            Issue.record("a form was found in no folder")
            return
        }
        #expect(change.latest == nil && change.difference == nil)
        #expect(!FileManager.default.fileExists(atPath: place.folder.directory))
    }

    @Test func otherSpellingOfTheSameTableIsNoChangeOfIt() throws {
        let place = try Workplace()
        _ = try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        let text = try place.text("s/v1.schema.json")
        try place.write(
            text.replacing("\"title\": \"public.orders\"", with: "\"title\": \"orders\""), "s/v1.schema.json")
        guard case .registered(let contract) = try place.folder.look(for: relation(width: 1), subject: "s") else {
            Issue.record("another title was taken for another form")
            return
        }
        #expect(contract.version == 1)
        // The same words for the table, but a type that no row of it has: only the program can have written that.
        try place.write(
            text.replacing("\"type\": \"integer\"", with: "\"type\": \"boolean\""), "s/v1.schema.json")
        guard case .changed(let change) = try place.folder.look(for: relation(width: 1), subject: "s") else {
            Issue.record("a form that no row has was taken for the table's")
            return
        }
        #expect(
            change.isSpellingOnly && change.obstacle?.contains("column id is integer, and it wants boolean") ?? false)
    }
}

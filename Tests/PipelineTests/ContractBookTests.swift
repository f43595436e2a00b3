import ChangeModel
import ConnectorKit
import EventLog
import Foundation
import Pipeline
import Testing

struct ContractBookTests {
    private func orders(_ columns: [String]) -> Relation {
        Relation(
            sourceID: 1, schema: "public", name: "orders",
            columns: columns.map { Column(name: $0, type: .text, typeName: "text", typeID: 25) })
    }

    @Test func theSameRelationHasTheSameVersionAndAnotherOneTheNext() async throws {
        let place = try Workplace()
        var book = ContractBook(pipelineName: "shop", schemas: place.schemas, log: place.log)
        let first = try await book.versions(of: [orders(["id"]), orders(["id"])])
        #expect(first[0] === first[1])
        #expect(first[0].subject == "shop.public.orders")
        #expect(first[0].version == 1)
        let wider = try await book.versions(of: [orders(["id", "note"]), orders(["id"])])
        #expect(wider[0].version == 2)
        // A table that goes back to an old form gets a new version: the registry's newest is the one in force.
        #expect(wider[1].version == 3)
        var other = ContractBook(pipelineName: "shop", schemas: place.schemas, log: place.log)
        #expect(try await other.versions(of: [orders(["id"])]).first?.version == 3)
    }

    @Test func theSchemaFileIsThereBeforeTheLogNamesIt() async throws {
        let place = try Workplace()
        let seen = Counter()
        let log = ScriptedLog(
            inner: place.log,
            onRegister: { [path = place.path] (subject) async throws(ConnectorFailure) in
                if FileManager.default.fileExists(atPath: "\(path)/Schemas/\(subject)/v1.schema.json") { seen.next() }
            })
        var book = ContractBook(pipelineName: "shop", schemas: place.schemas, log: log)
        _ = try await book.versions(of: [orders(["id"])])
        #expect(seen.value == 1)
    }
}

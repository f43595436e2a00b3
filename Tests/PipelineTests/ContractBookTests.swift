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
        let first = try await book.accepted([orders(["id"]), orders(["id"])])
        #expect(first[0] === first[1])
        #expect(first[0].subject == "shop.public.orders")
        #expect(first[0].version == 1)
        let wider = try await book.accepted([orders(["id", "note"]), orders(["id"])])
        #expect(wider[0].version == 2)
        // A table that goes back to an old form is under the old version again, and so are changes from before that
        // are read once more.
        #expect(wider[1].version == 1)
        var other = ContractBook(pipelineName: "shop", schemas: place.schemas, log: place.log)
        #expect(try await other.accepted([orders(["id"])]).first?.version == 1)
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
        _ = try await book.accepted([orders(["id"])])
        #expect(seen.value == 1)
    }
}

extension ContractBook {
    /// The versions of relations that are all accepted.
    mutating func accepted(_ relations: [Relation]) async throws -> [RelationVersion] {
        try await contracts(of: relations).map { contract in
            guard case .accepted(let version, _) = contract else { throw failure("refused", .stop) }
            return version
        }
    }
}

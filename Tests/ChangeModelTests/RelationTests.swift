import ChangeModel
import Foundation
import Testing

@Suite struct RelationTests {
    private let id = Column(name: "id", type: .int64, typeName: "bigint", typeID: 20, keyPosition: 1, isNullable: false)
    private let region = Column(name: "region", type: .text, typeName: "text", typeID: 25, keyPosition: 0)
    private let note = Column(name: "note", type: .text, typeName: "text", typeID: 25)

    @Test func keyColumnsFollowTheKeysOrder() {
        let relation = Relation(sourceID: 1, schema: "public", name: "t", columns: [id, note, region])
        #expect(relation.keyColumns == [2, 0])
        #expect(Relation(sourceID: 1, schema: "public", name: "t", columns: [note]).keyColumns.isEmpty)
        #expect(relation.qualifiedName == "public.t")
    }

    @Test func equalityIsByContent() {
        let relation = Relation(sourceID: 1, schema: "public", name: "t", columns: [id, note])
        let again = Relation(sourceID: 1, schema: "public", name: "t", columns: [id, note])
        #expect(relation == again)
        #expect(relation.hashValue == again.hashValue)
        var other = note
        other.typeModifier = 14
        let differing = [
            Relation(sourceID: 2, schema: "public", name: "t", columns: [id, note]),
            Relation(sourceID: 1, schema: "other", name: "t", columns: [id, note]),
            Relation(sourceID: 1, schema: "public", name: "u", columns: [id, note]),
            Relation(sourceID: 1, schema: "public", name: "t", columns: [note, id]),
            Relation(sourceID: 1, schema: "public", name: "t", columns: [id, other]),
        ]
        for relation2 in differing { #expect(relation != relation2) }
    }

    /// A log keeps relations for as long as their events.
    @Test func relationStoredBeforeThereWereShapesIsReadUnchanged() throws {
        let stored = #"""
            {"columns":[{"isNullable":false,"keyPosition":0,"name":"id","type":"int64","typeID":20,"typeModifier":-1,
            "typeName":"bigint"},{"isNullable":true,"name":"tags","type":"other","typeID":1009,"typeModifier":-1,
            "typeName":"text[]"},{"isNullable":true,"name":"more","type":"json","typeID":3802,"typeModifier":-1,
            "typeName":"jsonb"}],"name":"t","schema":"public","sourceID":16385}
            """#
        let relation = try JSONDecoder().decode(Relation.self, from: Data(stored.utf8))
        #expect(relation.columns.map(\.type) == [.int64, .other, .json])
        #expect(relation.columns.allSatisfy { $0.shape == nil && $0.lengthMax == nil && $0.precision == nil })
        #expect(relation.keyColumns == [0])
    }
}

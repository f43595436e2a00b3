import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import Foundation
import Testing

/// What stands beside the payload of a record: its place in the log, its id and its keys.
struct RecordTextTests {
    private let rename: SampleChange = .update(.key, from: ["4,1", nil, nil], to: ["4\"2", "new", nil])

    @Test(arguments: [EventFormat.cloudEvents, .row])
    func everyRecordHasTheIDThatStandsInItsEvent(format: EventFormat) throws {
        for pipeline in ["shop", "a \"quoted\" name"] {
            let records = try encode(
                [.insert(["1", nil, nil]), rename, .delete(.key, ["7", nil, nil]), .truncate], of: orders,
                format: format, pipeline: pipeline)
            let member = format == .cloudEvents ? "id" : "_id"
            for (number, record) in records.records.enumerated() {
                let event = try #require(
                    JSONSerialization.jsonObject(with: Data(records.lines[number].utf8)) as? [String: Any])
                #expect(records.text(record.id) == event[member] as? String)
                #expect(
                    records.text(record.id) == pipeline + "-00000000016B3748-0000000\(["A", "B", "C", "D"][number])")
            }
            #expect(records.records.map(\.offset) == [100, 101, 102, 103])
        }
    }

    @Test(arguments: EventFormat.allCases, ["e-1", "e\"1\n"])
    func theIDOfAnOutboxEventIsTheOneThatItsRowChose(format: EventFormat, id: String) throws {
        let relation = Relation(
            sourceID: 9, schema: "public", name: "outbox",
            columns: [column("id", key: 0), column("kind"), column("order"), column("payload")],
            outbox: OutboxRoute(
                id: 0, type: 1, aggregateType: 1, aggregateID: 2, payload: 3, attributes: [], content: .auto,
                topicSuffix: nil))
        let records = try encode([.insert([.text(id), "Paid", "4\\2", "{}"])], of: relation, format: format)
        let record = try #require(records.records.first)
        #expect(records.text(record.id) == id)
        #expect(records.text(record.key) == "4\\2")
        #expect(record.previousKey.isEmpty)
    }

    @Test(arguments: [EventFormat.cloudEvents, .row])
    func anUpdateThatChangesTheKeyHasBothKeys(format: EventFormat) throws {
        let records = try encode([rename, .update(to: ["5", nil, nil])], of: orders, format: format)
        #expect(records.keys == ["4\"2", "5"])
        #expect(records.records.map { records.text($0.previousKey) } == ["4,1", ""])
    }
}

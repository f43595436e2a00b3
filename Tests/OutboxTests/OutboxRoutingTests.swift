import ByteKit
import ChangeModel
import ConnectorKit
import Testing

@testable import Outbox

/// What becomes of the rows of an outbox before they are stored.
struct OutboxRoutingTests {
    private let plain = Relation(
        sourceID: 1, schema: "public", name: "outbox",
        columns: ["id", "aggregatetype", "aggregateid", "type", "payload", "trace"].map {
            Column(name: $0, type: .text, typeName: "text", keyPosition: $0 == "id" ? 0 : nil)
        })
    private let orders = Relation(
        sourceID: 2, schema: "public", name: "orders",
        columns: [Column(name: "id", type: .int32, typeName: "integer", keyPosition: 0)])
    private let checkpoint = SourceCheckpoint(last: nil, resume: ResumePosition(7))

    private func rules(_ change: (inout OutboxRules.Rule) -> Void = { _ in }) -> OutboxRules {
        var rule = OutboxRules.Rule(tables: [TablePattern("public.outbox")])
        change(&rule)
        return OutboxRules([rule])
    }

    private typealias Row = [String?]

    /// A batch of one transaction: an operation, a table and a row for each change.
    private func batch(
        _ changes: [(Operation, Relation, Row)], kind: UInt8 = ValueKind.text
    ) throws -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: 1024)
        let transaction = builder.begin(TransactionInfo(commit: 5, id: 6, committedAt: 7))
        for (ordinal, (operation, relation, row)) in changes.enumerated() {
            let tuple = builder.appendTuple(columnCount: row.count) { output in
                for value in row {
                    output.append(value == nil ? ValueKind.null : kind)
                    guard let value else { continue }
                    output.append(bigEndian: Int32(value.utf8.count))
                    output.append(utf8: value)
                }
            }
            let isDelete = operation == .delete
            builder.append(
                RowChange(
                    operation: operation, relation: builder.index(of: relation), transaction: transaction,
                    ordinal: UInt32(ordinal), beforeImage: isDelete ? .key : .none, before: isDelete ? tuple : .empty,
                    after: isDelete || operation == .truncate ? .empty : tuple))
        }
        return try builder.seal(checkpoint: checkpoint, mustBeDurableBeforeDelivery: true)
    }

    private func row(
        id: String? = "e1", aggregate: String? = "Order", key: String? = "1", type: String? = "Created",
        payload: String? = "{}"
    ) -> Row { [id, aggregate, key, type, payload, nil] }

    @Test func onlyWhatIsPutInStaysUnderItsOwnIdentity() throws {
        var routing = OutboxRouting(rules())
        let whole = try batch([
            (.insert, orders, ["1"]), (.insert, plain, row()), (.delete, plain, row()), (.update, plain, row()),
            (.snapshot, plain, row(id: "e2")), (.truncate, plain, row()), (.delete, orders, ["1"]),
            (.update, plain, row()),
        ])
        let routed = try routing.apply(to: whole)
        let batch = routed.batch
        #expect(routed.rejections.isEmpty && batch.checkpoint == checkpoint && batch.mustBeDurableBeforeDelivery)
        #expect((0..<batch.changeCount).map { batch.identity(at: $0).ordinal } == [0, 1, 4, 6])
        #expect(
            (0..<batch.changeCount).map { batch.change(at: $0).operation } == [.insert, .insert, .snapshot, .delete])
        #expect(batch.relations.first { $0.name == "orders" } === orders)
        let route = try #require(batch.relations.first { $0.name == "outbox" }?.outbox)
        #expect(route == OutboxRoute(id: 0, type: 3, aggregateType: 1, aggregateID: 2, payload: 4))
        #expect(
            routing.takeWarnings() == [
                "rows of outbox table public.outbox are updated: only their insert makes an event"
            ])
        _ = try routing.apply(to: whole)
        #expect(routing.takeWarnings() == [], "said once")
    }

    @Test func aBatchWithNothingButDeletesKeepsItsCheckpoint() throws {
        var routing = OutboxRouting(rules())
        let routed = try routing.apply(to: try batch([(.delete, plain, row())]))
        #expect(routed.batch.changeCount == 0 && routed.batch.checkpoint == checkpoint)
    }

    @Test func otherTablesPassAsTheyAre() throws {
        var routing = OutboxRouting(rules())
        let whole = try batch([(.insert, orders, ["1"]), (.update, orders, ["1"])])
        #expect(try routing.apply(to: whole).batch === whole)
        var none = OutboxRouting(OutboxRules())
        #expect(try none.apply(to: whole).batch === whole)
    }

    @Test func rowsThatAreNoEventAreNamedWithTheirReasonAndNoneOfTheirValues() throws {
        var routing = OutboxRouting(rules())
        let long = String(repeating: "x", count: 201)
        let routed = try routing.apply(
            to: try batch([
                (.insert, plain, row(id: nil)), (.insert, plain, row()), (.insert, plain, row(id: "")),
                (.insert, plain, row(type: nil)), (.insert, plain, row(aggregate: nil)),
                (.insert, plain, row(id: nil)), (.insert, plain, row(aggregate: long)),
                (.insert, plain, row(type: "se\u{9}cret")), (.insert, plain, row(type: "se\u{85}cret")),
                (.insert, plain, row(key: nil, payload: nil)),
            ]))
        #expect(routed.batch.changeCount == 10)
        let found = routed.rejections.map { "\($0.indices) \($0.failure.code) \($0.failure.message)" }
        let start = "outbox.bad_row a row of outbox table public.outbox makes no event: "
        #expect(
            found == [
                "[0, 5] \(start)id is NULL", "[2] \(start)id is empty", "[3] \(start)type is NULL",
                "[4] \(start)aggregatetype is NULL", "[6] \(start)aggregatetype is longer than 200 bytes",
                "[7, 8] \(start)type has control characters in it",
            ], "\(found.joined(separator: "\n"))")
        #expect(routed.rejections.allSatisfy { $0.relation.outbox == nil })
        let binary = try routing.apply(to: try batch([(.insert, plain, row())], kind: ValueKind.binary))
        #expect(binary.rejections.first?.failure.message.hasSuffix("id is not text") == true)
    }

    @Test func anAggregateTypeThatNoTopicNeedsMayBeNull() throws {
        var routing = OutboxRouting(rules { $0.topic = "all" })
        #expect(try routing.apply(to: try batch([(.insert, plain, row(aggregate: nil))])).rejections.isEmpty)
    }

    @Test func textThatMustBeJSONIsLookedAt() throws {
        var routing = OutboxRouting(rules { $0.content = .json })
        let payloads = ["{\"a\":1}", "1", "null", "{", "", "\"\\ud800\""]
        let routed = try routing.apply(to: try batch(payloads.map { (.insert, plain, row(payload: $0)) }))
        #expect(routed.rejections.map(\.indices) == [[3, 4, 5]])
        #expect(routed.rejections.first?.failure.message.hasSuffix("payload is not JSON") == true)
    }

    @Test func aTableWithoutTheColumnsIsRejectedRowByRow() throws {
        var routing = OutboxRouting(
            rules {
                $0.columns.type = "Kind"
                $0.attributes = ["traceparent": "trace", "correlationid": "nowhere"]
            })
        let routed = try routing.apply(to: try batch([(.insert, orders, ["1"]), (.insert, plain, row())]))
        #expect(routed.rejections.map(\.indices) == [[1]])
        #expect(routed.rejections.first?.failure.code == "outbox.missing_column")
        #expect(
            routed.rejections.first?.failure.message
                == "outbox table public.outbox has no column Kind, nowhere: its rows make no events")
    }

    @Test func theFirstEntryForATableHoldsAndTopicsHaveTheNamesOfTheTable() throws {
        var first = OutboxRules.Rule(tables: [TablePattern("outbox")])
        first.topic = "{schema}/{table}.{aggregatetype}-{table}"
        first.attributes = ["traceparent": "trace"]
        var routing = OutboxRouting(OutboxRules([first, OutboxRules.Rule(tables: [TablePattern("*")])]))
        let routed = try routing.apply(to: try batch([(.insert, plain, row())]))
        let route = try #require(routed.batch.relations.first?.outbox)
        #expect(route.topicPrefix == "public/outbox." && route.topicSuffix == "-outbox")
        #expect(route.attributes == [OutboxRoute.Attribute(name: "traceparent", column: 5)])
    }

    @Test func damagedRowsStopCaptureInsteadOfBeingGuessedAt() throws {
        var routing = OutboxRouting(rules())
        #expect(throws: ConnectorFailure.self) {
            try routing.apply(to: try batch([(.insert, plain, ["only", "three", "columns"])]))
        }
    }

    @Test func doctorNamesTablesAndColumnsThatAreNotThere() {
        let there = TableColumns(
            schema: "public", table: "outbox", columns: plain.columns.map(\.name), key: ["id"])
        #expect(rules().findings([there]).map(\.level) == [.ok])
        #expect(rules().findings([]).map(\.code) == ["outbox.table_missing"])
        #expect(rules { $0.attributes = ["a": "b"] }.findings([there]).map(\.code) == ["outbox.missing_column"])
        #expect(OutboxRules().findings([there]).isEmpty)
    }
}

import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import JSONText
import Testing

/// Records of Debezium's form: what of a change goes where.
struct DebeziumEventTests {
    private static var recordLines: DebeziumOptions {
        var options = DebeziumOptions()
        options.lines = .record
        options.database = "db"
        options.version = "1.2.3"
        return options
    }

    /// A line without the times at which it was written.
    private func timeless(_ line: String) -> String {
        line.replacing(/,"ts_ms":\d+,"ts_us":\d+,"ts_ns":\d+}/, with: "}").replacing(
            /"op":"m","ts_ms":\d+/, with: "\"op\":\"m\"")
    }

    private let source =
        #""source":{"version":"1.2.3","connector":"postgresql","name":"shop","ts_ms":1795255200123,"#
        + #""snapshot":"false","db":"db","sequence":"[\"23803720\",\"23803730\"]","ts_us":1795255200123456,"#
        + #""ts_ns":1795255200123456000,"schema":"public","table":"orders","txId":771,"lsn":23803720,"xmin":null,"#
        + #""origin":null,"origin_lsn":null},"transaction":null"#

    @Test func aChangeIsAnEnvelope() throws {
        let lines = try encode(
            [.insert(["42", "new", nil])], of: orders, format: .debezium, debezium: Self.recordLines
        ).lines.map(timeless)
        #expect(
            lines == [
                #"{"topic":"shop.public.orders","key":{"id":42},"headers":{},"value":{"before":null,"#
                    + #""after":{"id":42,"status":"new","note":null},"# + source + #","op":"c"}}"#
            ])
    }

    @Test func aChangeOfTheKeyIsADeleteATombstoneAndACreate() throws {
        let change = SampleChange.update(.key, from: ["1", nil, nil], to: ["2", "b", nil])
        let lines = try encode([change], of: orders, format: .debezium, debezium: Self.recordLines).lines.map(timeless)
        #expect(
            lines == [
                #"{"topic":"shop.public.orders","key":{"id":1},"headers":{"__debezium.newkey":{"id":2}},"#
                    + #""value":{"before":{"id":1,"status":null,"note":null},"after":null,"# + source + #","op":"d"}}"#,
                #"{"topic":"shop.public.orders","key":{"id":1},"headers":{},"value":null}"#,
                #"{"topic":"shop.public.orders","key":{"id":2},"headers":{"__debezium.oldkey":{"id":1}},"#
                    + #""value":{"before":null,"after":{"id":2,"status":"b","note":null},"# + source + #","op":"c"}}"#,
            ])
    }

    @Test func recordsOfOneEventHaveOneOffsetOneIdentityAndIdsOfTheirOwn() throws {
        let changes = [
            SampleChange.update(.key, from: ["1", nil, nil], to: ["2", "b", nil]), .delete(.key, ["2", nil, nil]),
        ]
        for form in [RecordForm.line, .binary] {
            let batch = try encode(changes, of: orders, format: .debezium, form: form, debezium: Self.recordLines)
            let records = batch.records
            #expect(
                records.map { batch.text($0.id) } == [
                    "shop-00000000016B3748-0000000A-delete", "shop-00000000016B3748-0000000A-tombstone",
                    "shop-00000000016B3748-0000000A", "shop-00000000016B3748-0000000B",
                    "shop-00000000016B3748-0000000B-tombstone",
                ])
            #expect(records.map(\.offset) == [100, 100, 100, 101, 101])
            #expect(records.map(\.identity.ordinal) == [10, 10, 10, 11, 11])
            // Both keys on each, so that whoever keeps the order of keys keeps the three together.
            #expect(records.map { batch.text($0.key) } == ["1", "1", "2", "2", "2"])
            #expect(records.map { batch.text($0.previousKey) } == ["2", "2", "1", "", ""])
            let keys = [#"{"id":1}"#, #"{"id":1}"#, #"{"id":2}"#, #"{"id":2}"#, #"{"id":2}"#]
            #expect(records.map { batch.text($0.keyDocument) } == (form == .binary ? keys : keys.map { _ in "" }))
        }
    }

    @Test func besideTheValueStandKeyAndHeadersAndATombstoneIsEmpty() throws {
        let change = SampleChange.update(.full, from: ["1", "a\u{7F}", nil], to: ["2", "b", nil])
        let batch = try encode([change], of: orders, format: .debezium, form: .binary)
        #expect(
            batch.records.map { batch.text($0.headers) } == [
                "__debezium.newkey:{\"id\":2}\n", "", "__debezium.oldkey:{\"id\":1}\n",
            ])
        #expect(batch.records.map { $0.payload.isEmpty } == [false, true, false])
        #expect(batch.lines[0].hasPrefix(#"{"before":{"id":1,"status":"a"#))
        #expect(batch.records.allSatisfy { $0.attributes.isEmpty })
        #expect(batch.topics.map(\.name) == ["shop.public.orders"])
    }

    @Test func allRecordsOfAnEventAreOneLineForReadersWhoGoOnBehindIt() throws {
        let changes = [
            SampleChange.update(.key, from: ["1", nil, nil], to: ["2", "b", nil]), .delete(.key, ["2", nil, nil]),
            .insert(["3", nil, nil]),
        ]
        var options = Self.recordLines
        let alone = try encode(changes, of: orders, format: .debezium, debezium: options).lines.map(timeless)
        options.lines = .event
        let batch = try encode(changes, of: orders, format: .debezium, debezium: options)
        #expect(
            batch.lines.map(timeless) == [
                "[" + alone[0...2].joined(separator: ",") + "]", "[" + alone[3...4].joined(separator: ",") + "]",
                "[" + alone[5] + "]",
            ])
        #expect(batch.records.map { batch.text($0.id) }.allSatisfy { $0.hasPrefix("shop-") && $0.utf8.count == 30 })
        #expect(batch.records.map { batch.text($0.key) } == ["2", "2", "3"])
        #expect(batch.records.map { batch.text($0.previousKey) } == ["1", "", ""])
        #expect(batch.records.map(\.offset) == [100, 101, 102])
    }

    @Test func whereOnlyValuesAreSeenNothingElseIsWritten() throws {
        let changes = [
            SampleChange.update(.key, from: ["1", nil, nil], to: ["2", "b", nil]), .insert(["3", nil, nil]),
        ]
        let batch = try encode(changes, of: orders, format: .debezium)
        #expect(batch.records.allSatisfy { $0.keyDocument.isEmpty && $0.headers.isEmpty && !$0.key.isEmpty })
        let everything = batch.text(ByteRange(offset: 0, length: UInt32(batch.body.count)))
        #expect(!everything.contains(#"{"id":1}"#) && !everything.contains("__debezium."))
    }

    @Test func recordsThatAreChosenKeepTheirKeysAndHeaders() throws {
        let change = SampleChange.update(.key, from: ["1", nil, nil], to: ["2", "b", nil])
        let batch = try encode([change], of: orders, format: .debezium, form: .binary).selecting([2])
        let record = try #require(batch.records.first)
        #expect(batch.text(record.keyDocument) == #"{"id":2}"#)
        #expect(batch.text(record.headers) == "__debezium.oldkey:{\"id\":1}\n")
    }

    @Test func linesOfValuesHaveNoTombstones() throws {
        let changes = [
            SampleChange.update(.key, from: ["1", nil, nil], to: ["2", "b", nil]), .delete(.key, ["2", nil, nil]),
        ]
        let batch = try encode(changes, of: orders, format: .debezium)
        let operations = try batch.lines.map { try JSONValue(parsing: $0)["op"]?.string }
        #expect(operations == ["d", "c", "d"])
        for (record, next) in zip(batch.records, batch.records.dropFirst()) {
            #expect(next.payload.offset == record.payload.offset + record.payload.length + 1)
        }
        var options = DebeziumOptions()
        options.hasTombstones = false
        let binary = try encode(changes, of: orders, format: .debezium, form: .binary, debezium: options)
        #expect(binary.records.count == 3)
    }

    @Test func aTableWithoutAKeyHasNeitherKeysNorTombstones() throws {
        let relation = Relation(sourceID: 1, schema: "public", name: "t x", columns: [column("a"), column("b")])
        let lines = try encode(
            [.insert(["1", nil]), .delete(.full, ["1", nil]), .truncate], of: relation, format: .debezium,
            debezium: Self.recordLines
        ).lines.map { try JSONValue(parsing: $0) }
        #expect(lines.map { $0["key"]?.isNull } == [true, true, true])
        #expect(lines.map { $0["value"]?["op"]?.string } == ["c", "d", "t"])
        #expect(lines[0]["topic"]?.string == "shop.public.t_x")
        #expect(lines[2]["value"]?["before"]?.isNull ?? false)
        #expect(lines[2]["value"]?["after"]?.isNull ?? false)
    }

    @Test func beforeIsThereWhereTheWholeOldRowIs() throws {
        let lines = try encode(
            [
                .update(.full, from: ["1", "a", "n"], to: ["1", "b", .unchanged]), .update(to: ["1", "c", .unchanged]),
                .snapshot(["1", "c", nil]),
            ], of: orders, format: .debezium
        ).lines.map { try JSONValue(parsing: $0) }
        #expect(lines[0]["before"]?.compactText == #"{"id":1,"status":"a","note":"n"}"#)
        #expect(lines[0]["after"]?["note"]?.string == "n")
        #expect(lines[1]["before"]?.isNull ?? false)
        #expect(lines[1]["after"]?["note"]?.string == "__debezium_unavailable_value")
        #expect(lines[2]["op"]?.string == "r")
        #expect(lines[2]["source"]?["snapshot"]?.string == "true")
    }

    @Test func messagesAreRecordsOfTheirOwn() throws {
        let batch = try encode(
            [.message("app", #"{"hello": "world"}"#)], of: messages, format: .debezium, debezium: Self.recordLines)
        #expect(
            batch.lines.map(timeless) == [
                #"{"topic":"shop.message","key":{"prefix":"app"},"headers":{},"value":{"op":"m","#
                    + source.replacing("\"schema\":\"public\",\"table\":\"orders\"", with: #""schema":"","table":"""#)
                    + #","message":{"prefix":"app","content":"eyJoZWxsbyI6ICJ3b3JsZCJ9"}}}"#
            ])
        #expect(batch.topics.map(\.name) == ["shop.message"])
    }

    @Test func sqliteHasTheSameEnvelope() throws {
        let relation = Relation(
            sourceID: 1, schema: "main", name: "items",
            columns: [column("id", .dynamic, key: 0), column("v", .dynamic)])
        let lines = try encode(
            [.insert([.integer("7"), .blob([0, 255])]), .insert([.integer("8"), .real("1.5")])], of: relation,
            format: .debezium, source: "sqlite", transactionID: 0, debezium: Self.recordLines
        ).lines.map { try JSONValue(parsing: $0) }
        #expect(lines[0]["topic"]?.string == "shop.main.items")
        #expect(lines[0]["key"]?.compactText == #"{"id":7}"#)
        #expect(lines[0]["value"]?["after"]?.compactText == #"{"id":7,"v":"AP8="}"#)
        #expect(lines[1]["value"]?["after"]?.compactText == #"{"id":8,"v":1.5}"#)
        let source = try #require(lines[0]["value"]?["source"]?.object)
        #expect(
            source.names == [
                "version", "connector", "name", "ts_ms", "snapshot", "db", "sequence", "ts_us", "ts_ns", "schema",
                "table",
            ])
        #expect(lines[0]["value"]?["source"]?["connector"]?.string == "sqlite")
    }

    // MARK: Schemas

    @Test func schemasDescribeWhatStandsBehindThem() throws {
        var options = Self.recordLines
        options.hasSchemas = true
        let relation = Relation(
            sourceID: 1, schema: "public", name: "t",
            columns: [
                Column(name: "id", type: .int32, typeName: "integer", keyPosition: 0, isNullable: false),
                Column(name: "price", type: .numeric, typeName: "numeric(10,2)"),
                Column(name: "any", type: .numeric, typeName: "numeric"),
                Column(name: "at", type: .timestamp, typeName: "timestamp(3) without time zone"),
                Column(name: "mood", type: .other, typeName: "mood", shape: .enumeration(["sad", "ok"])),
                Column(
                    name: "tags", type: .other, typeName: "text[]",
                    shape: .array(of: PartType(type: .text, typeName: "text"), delimiter: UInt8(ascii: ","))),
            ])
        let lines = try encode(
            [
                .insert(["1", "0.10", "1.5", "2026-11-21 10:00:00.123", "ok", "{a}"]),
                .delete(.key, ["1", nil, nil, nil, nil, nil]),
            ],
            of: relation, format: .debezium, debezium: options
        ).lines.map { try JSONValue(parsing: $0) }
        let key = try #require(lines[0]["key"])
        #expect(
            key.compactText
                == #"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"#
                + #""optional":false,"#
                + #""name":"shop.public.t.Key"},"payload":{"id":1}}"#)
        let value = try #require(lines[0]["value"])
        #expect(value["schema"]?["name"]?.string == "shop.public.t.Envelope")
        // Every object has the fields that its schema says, in their order.
        #expect(mismatches(try #require(value["schema"]), try #require(value["payload"])) == [])
        let after = try #require(value["schema"]?["fields"]?.array?.dropFirst().first?["fields"]?.array)
        #expect(
            after.map { $0["name"]?.string } == [
                nil, "org.apache.kafka.connect.data.Decimal", "io.debezium.data.VariableScaleDecimal",
                "io.debezium.time.Timestamp", "io.debezium.data.Enum", nil,
            ])
        #expect(after[1]["parameters"]?.compactText == #"{"scale":"2","connect.decimal.precision":"10"}"#)
        #expect(lines[2]["value"]?.isNull ?? false)
        for relation in [messages, transactions] {
            let change: SampleChange =
                relation === messages ? .message("app", "x") : .boundary(.begin)
            let line = try encode([change], of: relation, format: .debezium, debezium: options).lines[0]
            let record = try JSONValue(parsing: line)
            for part in ["key", "value"] {
                let document = try #require(record[part])
                #expect(
                    mismatches(try #require(document["schema"]), try #require(document["payload"])) == [], "\(line)")
            }
        }
    }

    /// Where a value is not what its schema says.
    private func mismatches(_ schema: JSONValue, _ value: JSONValue, at path: String = "") -> [String] {
        if value.isNull { return schema["optional"]?.bool == true ? [] : ["\(path) is null"] }
        switch schema["type"]?.string {
        case "struct":
            let fields = schema["fields"]?.array ?? []
            guard let object = value.object, object.names == fields.compactMap({ $0["field"]?.string }) else {
                return ["\(path) has \(value.object?.names ?? [])"]
            }
            return zip(fields, object.members).flatMap { mismatches($0, $1.value, at: path + "." + $1.name) }
        case "string", "bytes": return value.string == nil ? ["\(path) is no text"] : []
        case "array":
            guard let items = schema["items"], let array = value.array else { return ["\(path) is no array"] }
            return array.flatMap { mismatches(items, $0, at: path + "[]") }
        case "boolean": return value.bool == nil ? ["\(path) is no truth"] : []
        default: return value.number == nil ? ["\(path) is no number"] : []
        }
    }

    // MARK: Transactions

    private func encodeTransaction(
        _ encoder: EventEncoder, from index: Int = 0, isAside: Bool = false
    ) throws -> [JSONValue] {
        var builder = ChangeBatchBuilder(capacity: 4096)
        let (boundary, table) = (builder.index(of: transactions), builder.index(of: orders))
        let transaction = builder.begin(TransactionInfo(commit: 100, id: 7, committedAt: commitTime))
        let changes: [(SampleChange, UInt32, UInt32)] = [
            (.boundary(.begin), boundary, ChangeIdentity.beginOrdinal), (.insert(["1", nil, nil]), table, 0),
            (.update(.key, from: ["1", nil, nil], to: ["2", nil, nil]), table, 1),
            (.insert(["3", nil, nil]), table, 5),
            (.boundary(.commit, changes: "6", events: "3"), boundary, ChangeIdentity.commitOrdinal),
        ]
        for (change, relation, ordinal) in changes {
            let before = change.before.isEmpty ? ByteRange.empty : builder.append(tuple: change.before.rawBytes)
            let after = builder.append(tuple: change.after.rawBytes)
            builder.append(
                RowChange(
                    operation: change.operation, relation: relation, transaction: transaction, ordinal: ordinal,
                    beforeImage: change.beforeImage, before: before, after: after))
        }
        let batch = try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
        return try encoder.encode(
            batch, versions: [version(transactions), version(orders)], firstOffset: 0, from: index, bytesMax: .max,
            isAside: isAside, including: { _ in true }
        ).records.lines.map { try JSONValue(parsing: $0) }
    }

    private func encoder() -> EventEncoder {
        EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .debezium, debezium: Self.recordLines)
    }

    @Test func recordsAreCountedFromTheBeginOfTheirTransaction() throws {
        let encoder = encoder()
        for _ in 0..<2 {
            let lines = try encodeTransaction(encoder)
            #expect(
                lines.map { $0["topic"]?.string } == [
                    "shop.transaction", "shop.public.orders", "shop.public.orders", "shop.public.orders",
                    "shop.public.orders", "shop.public.orders", "shop.transaction",
                ])
            #expect(
                lines.map { $0["value"]?["transaction"]?["total_order"]?.number?.integer } == [
                    nil, 1, 2, nil, 3, 4, nil,
                ])
            #expect(lines[1]["value"]?["transaction"]?["id"]?.string == "7:100")
            #expect(
                lines[0]["value"]?.compactText
                    == #"{"status":"BEGIN","id":"7:100","event_count":null,"data_collections":null,"#
                    + #""ts_ms":1795255200123}"#
            )
            #expect(
                lines[6]["value"]?.compactText
                    == #"{"status":"END","id":"7:100","event_count":4,"#
                    + #""data_collections":[{"data_collection":"public.orders","event_count":4}],"#
                    + #""ts_ms":1795255200123}"#
            )
            #expect(lines[6]["key"]?.compactText == #"{"id":"7:100"}"#)
        }
    }

    @Test func withoutTheBeginAndAsideOfTheLogNothingIsCounted() throws {
        let late = try encodeTransaction(encoder(), from: 1)
        #expect(late.allSatisfy { $0["value"]?["transaction"]?.isNull ?? true })
        #expect(late.last?["value"]?["event_count"]?.isNull ?? false)
        // What is delivered again aside does not count in a transaction that is open.
        let encoder = encoder()
        _ = try encodeTransaction(encoder, from: 0)
        #expect(
            try encodeTransaction(encoder, isAside: true).allSatisfy { $0["value"]?["transaction"]?.isNull ?? true })
    }

    // MARK: Outboxes

    private func outbox(_ payload: Column) -> Relation {
        Relation(
            sourceID: 9, schema: "public", name: "outbox",
            columns: [
                column("id", key: 0), column("aggregatetype"), column("aggregateid"), column("type"), payload,
                column("corr"),
            ],
            outbox: OutboxRoute(
                id: 0, type: 3, aggregateType: 1, aggregateID: 2, payload: 4,
                attributes: [.init(name: "correlationid", column: 5)]))
    }

    @Test func aRowOfAnOutboxIsTheRoutersRecord() throws {
        let json = Column(name: "payload", type: .json, typeName: "jsonb", shape: .json)
        let row = SampleChange.insert(["e\"1", "Order", "42", "Paid", #"{"a": 1}"#, "req-7"])
        let lines = try encode([row], of: outbox(json), format: .debezium, debezium: Self.recordLines)
        #expect(
            lines.lines == [
                #"{"topic":"outbox.event.Order","key":"42","headers":{"id":"e\"1","correlationid":"req-7"},"#
                    + #""value":{"a":1}}"#
            ])
        let binary = try encode([row], of: outbox(json), format: .debezium, form: .binary)
        let record = try #require(binary.records.first)
        #expect(binary.text(record.headers) == #"id:"e\"1"\#ncorrelationid:"req-7"\#n"#)
        #expect(binary.text(record.keyDocument) == "\"42\"")
        #expect(binary.text(record.key) == "42")
        #expect(binary.text(record.id) == "e\"1")
        #expect(binary.text(record.payload) == #"{"a":1}"#)
        #expect(binary.topics[Int(record.topic)].name == "outbox.event.Order")
    }

    @Test func payloadsThatAreNoJSONAreStrings() throws {
        let row = { (payload: SampleValue) in SampleChange.insert(["e-1", "Order", nil, "Paid", payload, nil]) }
        let texts = outbox(column("payload"))
        #expect(try encode([row("a\nb")], of: texts, format: .debezium).lines == [#""a\nb""#])
        #expect(try encode([row("a\nb")], of: texts, format: .debezium, form: .binary).lines == [#""a\nb""#])
        #expect(try encode([row(nil)], of: texts, format: .debezium).lines == ["null"])
        #expect(try encode([row(nil)], of: texts, format: .debezium, form: .binary).lines == [""])
        let bytes = outbox(column("payload", .bytes))
        #expect(try encode([row("\\x00ff")], of: bytes, format: .debezium).lines == [#""AP8=""#])
        let line = try encode([row("x")], of: texts, format: .debezium, debezium: Self.recordLines).lines[0]
        #expect(line == #"{"topic":"outbox.event.Order","key":null,"headers":{"id":"e-1"},"value":"x"}"#)
    }
}

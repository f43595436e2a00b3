import ByteKit
import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventFormat
import JSONText
import Testing

/// Events whose payload is their data alone: what the JSON form says in one object stands in two places.
struct BinaryEventTests {
    /// The attributes of the JSON form, and its data.
    private func parts(_ line: String) throws -> (attributes: [String: String], data: String?) {
        let event = try #require(JSONValue(parsing: line).object)
        var attributes: [String: String] = [:]
        var data: String?
        for member in event.members {
            if member.name == "data" {
                data = member.value.compactText
            } else if case .string(let text) = member.value {
                attributes[member.name] = text
            }
        }
        return (attributes, data)
    }

    @Test func dataAndAttributesAreThoseOfTheJSONForm() throws {
        var random = RandomChanges(dice: SeededGenerator(seed: 11))
        for _ in 0..<300 {
            let relation = random.relation()
            let changes = (0..<8).map { _ in random.change(of: relation) }
            let context = #"{"correlationid":"a:b é","tenant":"x"}"#
            let lines = try encode(changes, of: relation, context: context)
            let binary = try encode(changes, of: relation, form: .binary, context: context)
            try #require(binary.records.count == lines.records.count)
            for (event, record) in zip(lines.records, binary.records) {
                let (attributes, data) = try parts(lines.text(event.payload))
                #expect(data == binary.text(record.payload))
                #expect(attributes.mapValues(spelledSafely) == binary.attributes(of: record))
                #expect(lines.text(event.id) == binary.text(record.id))
                #expect(lines.text(event.key) == binary.text(record.key))
                #expect(lines.text(event.previousKey) == binary.text(record.previousKey))
                #expect(event.offset == record.offset && event.identity == record.identity)
            }
        }
    }

    @Test func theAttributesAreLines() throws {
        let changes = [SampleChange.insert(["42", "paid", nil])]
        let binary = try encode(changes, of: orders, form: .binary, context: #"{"tenant":"acme"}"#)
        let record = try #require(binary.records.first)
        #expect(
            binary.text(record.attributes) == """
                specversion:1.0
                id:shop-00000000016B3748-0000000A
                source:/millrace/shop
                type:public.orders.insert
                datacontenttype:application/json
                dataschema:/subjects/shop.public.orders/versions/3
                time:2026-11-21T10:00:00.123456Z
                sequence:00000000016B3748-0000000A
                subject:42
                partitionkey:42
                tenant:acme

                """)
        #expect(binary.text(record.payload).hasPrefix(#"{"op":"insert","schema":"public","table":"orders","key":"#))
        #expect(binary.text(record.payload).hasSuffix(#","lsn":"0/16B3748"}"#))
    }

    @Test func controlCharactersOfAKeyAreSpelledOutAndTheKeyItselfIsKept() throws {
        let relation = Relation(
            sourceID: 1, schema: "public", name: "a\nid:b", columns: [column("name", key: 0)])
        let key = "x\r\nce-id: y\u{0}\u{7F}\u{85}é%"
        let binary = try encode([.insert([.text(key)])], of: relation, form: .binary)
        let record = try #require(binary.records.first)
        let attributes = binary.attributes(of: record)
        #expect(attributes["subject"] == "x%0D%0Ace-id: y%00%7F%C2%85é%")
        #expect(attributes["type"] == "public.a%0Aid:b.insert")
        #expect(attributes.count == 10)
        #expect(binary.text(record.key) == key)
    }

    @Test func thePayloadsLieBehindEachOtherInEitherForm() throws {
        let binary = try encode([.insert(["1", "a", nil]), .insert(["2", "b", nil])], of: orders, form: .binary)
        let (first, second) = (binary.records[0].payload, binary.records[1].payload)
        #expect(second.offset == first.offset + first.length + 1)
        #expect(binary.bytes(ByteRange(offset: second.offset - 1, length: 1)).byte(0) == UInt8(ascii: "\n"))
    }

    @Test func rowsHaveNoAttributes() throws {
        let binary = try encode([.insert(["1", "a", nil])], of: orders, format: .row, form: .binary)
        #expect(binary.lines == (try encode([.insert(["1", "a", nil])], of: orders, format: .row)).lines)
        #expect(binary.records.allSatisfy { $0.attributes.isEmpty })
    }

    // MARK: Outboxes

    private func outbox(_ payload: Column, content: OutboxRoute.Content = .auto) -> Relation {
        Relation(
            sourceID: 9, schema: "public", name: "outbox",
            columns: [column("id", key: 0), column("kind"), column("order"), column("type"), payload, column("corr")],
            outbox: OutboxRoute(
                id: 0, type: 3, aggregateType: 1, aggregateID: 2, payload: 4,
                attributes: [.init(name: "correlationid", column: 5)], content: content))
    }

    private func outboxEvent(
        _ payload: SampleValue, _ column: Column, content: OutboxRoute.Content = .auto
    ) throws -> (batch: RecordBatch, record: Record) {
        let batch = try encode(
            [.insert(["e-1", "Order", "4,2", "Paid", payload, "req-7"])], of: outbox(column, content: content),
            form: .binary, context: #"{"correlationid":"of the transaction","tenant":"acme"}"#)
        return (batch, try #require(batch.records.first))
    }

    @Test func anOutboxEventIsItsPayloadWithTheRowsOwnAttributes() throws {
        let json = Column(name: "payload", type: .json, typeName: "jsonb", shape: .json)
        let (batch, record) = try outboxEvent(#"{"a": [1, 2.50]}"#, json)
        #expect(batch.text(record.payload) == #"{"a":[1,2.50]}"#)
        #expect(
            batch.attributes(of: record) == [
                "specversion": "1.0", "id": "e-1", "source": "/millrace/shop/public.outbox", "type": "Paid",
                "time": "2026-11-21T10:00:00.123456Z", "sequence": "00000000016B3748-0000000A", "subject": "4,2",
                "partitionkey": "4,2", "aggregatetype": "Order", "correlationid": "req-7", "tenant": "acme",
                "datacontenttype": "application/json",
            ])
        #expect(batch.text(record.id) == "e-1")
        #expect(batch.text(record.key) == "4,2")
        #expect(batch.topics[Int(record.topic)].name == "outbox.event.Order")
    }

    private struct Payload: Sendable {
        var value: SampleValue
        var type: ValueType
        var bytes: [UInt8]
        var contentType: String
    }

    private static let payloads = [
        Payload(value: "a\n\"b\"", type: .text, bytes: Array("a\n\"b\"".utf8), contentType: "text/plain"),
        Payload(value: "\\x00ff41", type: .bytes, bytes: [0, 255, 65], contentType: "application/octet-stream"),
        Payload(value: .integer("17"), type: .dynamic, bytes: Array("17".utf8), contentType: "application/json"),
        Payload(value: .blob([0, 255]), type: .dynamic, bytes: [0, 255], contentType: "application/octet-stream"),
        Payload(value: "", type: .text, bytes: [], contentType: "text/plain"),
    ]

    @Test(arguments: payloads.indices)
    func aPayloadIsItsBytesAndNotJSONsWordsForThem(number: Int) throws {
        let payload = Self.payloads[number]
        let (batch, record) = try outboxEvent(payload.value, column("payload", payload.type))
        let bytes = batch.bytes(record.payload)
        #expect((0..<bytes.byteCount).map { bytes.byte($0) } == payload.bytes)
        #expect(batch.attributes(of: record)["datacontenttype"] == payload.contentType)
    }

    @Test func noPayloadIsNoDataAndNoContentType() throws {
        let (batch, record) = try outboxEvent(nil, column("payload", .json))
        #expect(record.payload.isEmpty)
        #expect(batch.attributes(of: record)["datacontenttype"] == nil)
        #expect(batch.attributes(of: record)["id"] == "e-1")
    }

    @Test func anIDWithControlCharactersIsTheRecordsIDAllTheSame() throws {
        let batch = try encode(
            [.insert(["e\n1", "Order", "k\n", "Paid", "x", nil])], of: outbox(column("payload")), form: .binary)
        let record = try #require(batch.records.first)
        #expect(batch.text(record.id) == "e\n1")
        #expect(batch.text(record.key) == "k\n")
        #expect(batch.attributes(of: record)["id"] == "e%0A1")
    }
}

/// What stands in an attribute for text of the JSON form.
private func spelledSafely(_ text: String) -> String {
    var safe = ""
    for scalar in text.unicodeScalars {
        if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
            for byte in String(scalar).utf8 {
                safe += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16).uppercased()
            }
        } else {
            safe.unicodeScalars.append(scalar)
        }
    }
    return safe
}

extension RecordBatch {
    func text(_ range: ByteRange) -> String { String(validatingUTF8: bytes(range)) ?? "not UTF-8" }

    fileprivate func attributes(of record: Record) -> [String: String] {
        var attributes: [String: String] = [:]
        for line in text(record.attributes).utf8.split(separator: UInt8(ascii: "\n")) {
            let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let name = String(parts[0]), let value = String(parts[1]) else { continue }
            attributes[name] = value
        }
        return attributes
    }
}

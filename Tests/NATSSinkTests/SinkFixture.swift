import ByteKit
import ChangeModel
import ConnectorKit
import ProgramTesting
import Synchronization
import Testing

@testable import NATSSink

/// Settings for a server, after something was done to it.
func natsSettings(
    _ server: NATSServer, _ more: [String: SettingValue] = [:], before: (StreamReader) throws -> Void = { _ in }
) throws -> NATSSettings {
    try before(StreamReader(server.address))
    return try natsSettings([server.address], more)
}

func natsSettings(_ servers: [String], _ more: [String: SettingValue] = [:]) throws -> NATSSettings {
    var values = SettingValues(["servers": .list(servers)])
    for (name, value) in more { values[name] = value }
    return try NATSSettings(values: values, pipelineName: "shop")
}

/// One event of a test.
struct TestEvent: Sendable {
    var id: String
    var text = "{}"
    var table = "orders"
    var key = ""
    var attributes = ""
    var keyDocument = ""
    var headers = ""
}

/// A batch as an encoder makes it, of events at consecutive log offsets.
func recordBatch(_ events: [TestEvent], from offset: UInt64) -> RecordBatch {
    var body = OutputBuffer(capacity: 64)
    var records: [Record] = []
    var topics: [Topic] = []
    for (index, event) in events.enumerated() {
        let topic = Topic(schema: "public", table: event.table)
        if !topics.contains(topic) { topics.append(topic) }
        records.append(
            Record(
                offset: offset + UInt64(index), id: append(event.id, to: &body), payload: append(event.text, to: &body),
                key: append(event.key, to: &body), attributes: append(event.attributes, to: &body),
                keyDocument: append(event.keyDocument, to: &body), headers: append(event.headers, to: &body),
                topic: UInt32(topics.firstIndex(of: topic) ?? 0),
                identity: ChangeIdentity(commit: 1, ordinal: UInt32(index)), committedAt: 1_795_000_000_000_000))
    }
    return RecordBatch(
        body: body.freeze(), records: records, topics: topics, nextOffset: offset + UInt64(events.count))
}

private func append(_ text: String, to body: inout OutputBuffer) -> ByteRange {
    let start = body.count
    body.append(utf8: text)
    defer { body.append(10) }
    return ByteRange(offset: UInt32(start), length: UInt32(body.count - start))
}

/// Events `e-FIRST` … one after the other.
func numbered(_ numbers: Range<Int>, size: Int = 20) -> RecordBatch {
    let padding = String(repeating: "x", count: size)
    return recordBatch(
        numbers.map { TestEvent(id: "e-\($0)", text: "{\"n\":\($0),\"p\":\"\(padding)\"}") },
        from: UInt64(numbers.lowerBound))
}

/// What the pipeline keeps for a sink: cursor and state.
final class CursorStore: Sendable {
    struct Cursor: Sendable {
        var offset: UInt64 = 0
        var state: [UInt8]?
        var rejected: [RejectedRecord] = []
    }
    private let cursor = Mutex(Cursor())

    var current: Cursor { cursor.withLock { $0 } }

    func store(_ receipt: DeliveryReceipt) {
        cursor.withLock { cursor in
            if let durable = receipt.durableBefore { cursor.offset = durable }
            if let state = receipt.state { cursor.state = state }
            cursor.rejected += receipt.rejected
        }
    }

    func move(to offset: UInt64) { cursor.withLock { $0.offset = offset } }

    /// Takes the state away.
    func forget() { cursor.withLock { $0.state = nil } }

    var context: SinkContext {
        SinkContext(name: "broker", state: current.state, nextOffset: current.offset) {
            (state) throws(ConnectorFailure) in
            self.cursor.withLock { $0.state = state }
        }
    }
}

/// The failure that `body` throws; nil when it throws none.
func failure(_ body: () async throws -> Void) async throws -> ConnectorFailure? {
    do {
        try await body()
        return nil
    } catch let failure as ConnectorFailure {
        return failure
    }
}

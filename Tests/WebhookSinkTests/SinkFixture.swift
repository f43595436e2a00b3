import ByteKit
import ChangeModel
import ConnectorKit
import Foundation
import ProgramTesting
import Synchronization

@testable import WebhookSink

/// A sink under test with its receiver.
struct SinkFixture {
    let receiver: HTTPReceiver
    let sink: WebhookSink

    /// A sink that sends to a receiver which answers so.
    init(
        _ values: [String: SettingValue] = [:], isCloudEvents: Bool = true, hasHeaders: Bool = false,
        answer: @escaping @Sendable (HTTPReceiver.Request) -> HTTPReceiver.Answer = { _ in .status(204) }
    ) throws {
        receiver = try HTTPReceiver(answer: answer)
        sink = WebhookSink(
            try Self.settings(receiver.port, values), isCloudEvents: isCloudEvents, hasHeaders: hasHeaders)
    }

    /// Settings with short pauses for an endpoint on this machine.
    static func settings(_ port: Int, _ values: [String: SettingValue] = [:]) throws -> WebhookSettings {
        var all: [String: SettingValue] = [
            "url": .text("http://127.0.0.1:\(port)/hooks"), "allow_private_addresses": .flag(true),
            "retry": .group(
                SettingValues(["initial": .duration(.milliseconds(5)), "max": .duration(.milliseconds(40))])),
        ]
        all.merge(values) { $1 }
        return try WebhookSettings(values: SettingValues(all), pipelineName: "shop")
    }

    /// Opens the sink, has it deliver the batch whole, and closes it.
    @discardableResult
    func deliver(_ events: [SampleEvent]) async throws -> DeliveryReceipt {
        try await open()
        let receipt = try await sink.write(.of(events), .required)
        await sink.close()
        return receipt
    }

    func open(at offset: UInt64 = 0) async throws {
        try await sink.open(SinkContext(name: "hooks", state: nil, nextOffset: offset) { _ in })
    }
}

/// An event for a batch.
struct SampleEvent {
    var offset: UInt64
    var key: String
    var previousKey = ""
    var table = "orders"
    var id: String
    var payload: String
    var attributes = ""
    var keyDocument = ""
    var headers = ""
    var emptiesTable: Bool

    init(
        _ offset: UInt64, key: String, previousKey: String = "", table: String = "orders", id: String? = nil,
        payload: String? = nil, attributes: String = "", emptiesTable: Bool = false
    ) {
        self.offset = offset
        self.key = key
        self.previousKey = previousKey
        self.table = table
        self.id = id ?? "shop-\(offset)"
        self.payload = payload ?? #"{"offset":\#(offset),"key":"\#(key)"}"#
        self.attributes = attributes
        self.emptiesTable = emptiesTable
    }
}

extension RecordBatch {
    /// A batch of events, which end at the offset behind the last of them.
    static func of(_ events: [SampleEvent]) -> RecordBatch {
        var body = OutputBuffer(capacity: 1024)
        var topics: [Topic] = []
        let records = events.map { event in
            let topic = Topic(schema: "public", table: event.table)
            if !topics.contains(topic) { topics.append(topic) }
            let payload = append(event.payload, to: &body)
            body.append(UInt8(ascii: "\n"))
            return Record(
                offset: event.offset, id: append(event.id, to: &body), payload: payload,
                key: append(event.key, to: &body),
                previousKey: append(event.previousKey, to: &body), attributes: append(event.attributes, to: &body),
                keyDocument: append(event.keyDocument, to: &body), headers: append(event.headers, to: &body),
                topic: UInt32(topics.firstIndex(of: topic) ?? 0),
                identity: ChangeIdentity(commit: event.offset, ordinal: 0), committedAt: 0,
                emptiesTable: event.emptiesTable)
        }
        return RecordBatch(
            body: body.freeze(), records: records, topics: topics, nextOffset: (events.last?.offset ?? 0) + 1)
    }

    private static func append(_ text: String, to body: inout OutputBuffer) -> ByteRange {
        let start = body.count
        body.append(utf8: text)
        return ByteRange(offset: UInt32(start), length: UInt32(body.count - start))
    }
}

/// Waits until something holds, far longer than it takes.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(60)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw ChildFailure(description: "no \(what) within a minute") }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// A number that threads count up.
final class Counter: Sendable {
    private let value = Mutex(0)

    func increment() { value.withLock { $0 += 1 } }

    var count: Int { value.withLock { $0 } }
}

/// What a sink reports to the pipeline.
final class Reports: Sendable {
    private let reports = Mutex<[(failure: ConnectorFailure?, pause: Duration)]>([])

    func add(_ failure: ConnectorFailure?, _ pause: Duration?) {
        reports.withLock { $0.append((failure, pause ?? .zero)) }
    }

    var all: [(code: String?, pause: Duration)] { reports.withLock { $0.map { ($0.failure?.code, $0.pause) } } }
    var failures: [ConnectorFailure] { reports.withLock { $0.compactMap(\.failure) } }
}

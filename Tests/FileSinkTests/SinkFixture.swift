import ByteKit
import ChangeModel
import ConnectorKit
import Foundation
import Synchronization
import Testing

@testable import FileSink

/// A folder of a test's own, removed when the test ends.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/millrace-file-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func content(_ name: String) throws -> String {
        try String(contentsOfFile: path + "/" + name, encoding: .utf8)
    }

    func put(_ text: String, _ name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
    }
}

/// One event of a test: its line, its table and the time of its commit.
struct TestEvent: Sendable {
    var line: String
    var table = "orders"
    var schema = "public"
    var committedAt: Int64 = 1_795_000_000_000_000
}

/// A batch as an encoder makes it: payloads with a line feed behind each, one after the other.
func recordBatch(_ events: [TestEvent], nextOffset: UInt64) -> RecordBatch {
    var body = OutputBuffer(capacity: 64)
    var records: [Record] = []
    var topics: [Topic] = []
    for (index, event) in events.enumerated() {
        let topic = Topic(schema: event.schema, table: event.table)
        let place = topics.firstIndex(of: topic) ?? topics.count
        if place == topics.count { topics.append(topic) }
        let start = body.count
        body.append(utf8: event.line)
        records.append(
            Record(
                offset: nextOffset &- UInt64(events.count - index), id: .empty,
                payload: ByteRange(offset: UInt32(start), length: UInt32(body.count - start)), key: .empty,
                topic: UInt32(place), identity: ChangeIdentity(commit: 1, ordinal: UInt32(index)),
                committedAt: event.committedAt))
        body.append(10)
    }
    return RecordBatch(body: body.freeze(), records: records, topics: topics, nextOffset: nextOffset)
}

/// What the event log keeps for a sink: each commit of cursor and state, and which of them waited for the disk.
final class CursorStore: Sendable {
    struct Commit: Sendable {
        var cursor: UInt64
        var state: [UInt8]?
        var isDurable: Bool
    }
    private let commits = Mutex<[Commit]>([Commit(cursor: 0, state: nil, isDurable: true)])

    var last: Commit { commits.withLock { $0[$0.count - 1] } }
    var durableStateCount: Int { commits.withLock { $0.filter(\.isDurable).count - 1 } }

    /// What the pipeline does with a receipt.
    func store(_ receipt: DeliveryReceipt) {
        guard let cursor = receipt.durableBefore else { return }
        commits.withLock { $0.append(Commit(cursor: cursor, state: receipt.state ?? $0.last?.state, isDurable: false)) }
    }

    /// A power cut: commits that did not wait for the disk may be gone, from the end.
    func losePower(_ generator: inout some RandomNumberGenerator) {
        commits.withLock { commits in
            while let last = commits.last, !last.isDurable, Bool.random(using: &generator) { commits.removeLast() }
        }
    }

    func context(_ name: String = "archive") -> SinkContext {
        SinkContext(name: name, state: last.state, nextOffset: last.cursor) { state throws(ConnectorFailure) in
            self.commits.withLock {
                $0.append(Commit(cursor: $0.last?.cursor ?? 0, state: state, isDurable: true))
            }
        }
    }
}

func settings(_ path: String) throws -> FileSettings {
    try FileSettings(values: SettingValues(["path": .text(path)]), pipelineName: "shop")
}

/// The code of the failure that `body` throws; nil when it throws none.
func failureCode(_ body: () async throws -> Void) async -> String? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ConnectorFailure)?.code ?? "\(error)"
    }
}

import ByteKit
import ChangeModel
import ConnectorKit
import Foundation
import ProgramTesting
import Synchronization
import Testing

@testable import FileSink

/// A folder of a test's own, removed when the test ends.
final class SinkFolder: Sendable {
    let path: String

    /// In memory, syncs cost nothing, and a test of hundreds of runs is quick.
    init(inMemory: Bool = false) throws {
        let place = inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : FileManager.default.temporaryDirectory.path
        path = place + "/millrace-file-" + UUID().uuidString
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
    var key = ""
    var header: String?
}

/// A batch as an encoder makes it: payloads with a line feed behind each, one after the other.
func recordBatch(_ events: [TestEvent], nextOffset: UInt64) -> RecordBatch {
    var body = OutputBuffer(capacity: 64)
    var records: [Record] = []
    var topics: [Topic] = []
    for (index, event) in events.enumerated() {
        let topic = Topic(schema: event.schema, table: event.table, header: event.header)
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
    for (index, event) in events.enumerated() {
        records[index].key = ByteRange(offset: UInt32(body.count), length: UInt32(event.key.utf8.count))
        body.append(utf8: event.key)
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

    func context(_ name: String = "archive", log: String = "") -> SinkContext {
        SinkContext(name: name, log: log, state: last.state, nextOffset: last.cursor) {
            state throws(ConnectorFailure) in
            self.commits.withLock {
                $0.append(Commit(cursor: $0.last?.cursor ?? 0, state: state, isDurable: true))
            }
        }
    }
}

func settings(
    _ path: String, pipeline: String = "shop", rotate: [String: SettingValue]? = nil, compress: Compression = .none,
    partitions: Int? = nil
) throws -> FileSettings {
    var values = SettingValues(["path": .text(path), "compress": .text(compress.name)])
    if let rotate { values["rotate"] = .group(SettingValues(rotate)) }
    if let partitions { values["partitions"] = .integer(partitions) }
    return try FileSettings(values: values, pipelineName: pipeline)
}

/// Clocks that a test moves, beginning at 2026-11-21 10:00 UTC.
final class TestClock: Sendable {
    static let start: Int64 = 1_795_255_200_000_000
    private let times = Mutex((wall: start, steady: Int64(0)))

    var clock: FileClock {
        FileClock(wall: { self.times.withLock { $0.wall } }, steady: { self.times.withLock { $0.steady } })
    }

    /// Time passes.
    func pass(_ time: Duration) {
        times.withLock { times in
            times.wall += time.microseconds
            times.steady += time.microseconds
        }
    }

    /// Somebody sets the clock.
    func set(by time: Duration) { times.withLock { $0.wall += time.microseconds } }
}

/// A line of a manifest.
struct ManifestLine: Decodable, Equatable {
    var name: String
    var bytes: Int
    var records: Int
    var firstOffset: UInt64
    var lastOffset: UInt64
    var crc32: String
    var finishedAt: String

    enum CodingKeys: String, CodingKey {
        case name, bytes, records, crc32
        case firstOffset = "first_offset"
        case lastOffset = "last_offset"
        case finishedAt = "finished_at"
    }
}

extension SinkFolder {
    /// The names of files in the folder, of those below it too, sorted.
    func names(_ folder: String = "") throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: path + "/" + folder).sorted().filter { name in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: "\(path)/\(folder)/\(name)", isDirectory: &isFolder)
                && !isFolder.boolValue
        }
    }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
    }

    /// The lines of the manifest of the sink `archive`, each of which must be whole.
    func manifest(_ folder: String = "") throws -> [ManifestLine] {
        let name = folder.isEmpty ? "_archive.manifest" : folder + "/_archive.manifest"
        guard FileManager.default.fileExists(atPath: path + "/" + name) else { return [] }
        let text = try content(name)
        #expect(text.isEmpty || text.hasSuffix("\n"))
        return try text.split(separator: "\n").map { line in
            try JSONDecoder().decode(ManifestLine.self, from: Data(line.utf8))
        }
    }

    /// What is in files one behind the other, read by the tool that everybody has, which refuses what is not whole.
    func text(of names: [String], _ compression: Compression) throws -> String {
        try decompressed(names.map { path + "/" + $0 }, compression)
    }
}

/// What is in files one behind the other, read by the tool that everybody has, which refuses what is not whole.
func decompressed(_ paths: [String], _ compression: Compression) throws -> String {
    if paths.isEmpty { return "" }
    if compression == .none { return try paths.map { try String(contentsOfFile: $0, encoding: .utf8) }.joined() }
    let tool = compression == .gzip ? "/usr/bin/gzip" : "/usr/bin/zstd"
    let result = try runProgram(tool, ["-dcq"] + paths)
    #expect(result.exitCode == 0, "\(paths): \(result.errors)")
    return result.output
}

/// Settings with rotation by size.
func rotatingSettings(_ path: String, _ compression: Compression, size: Int) throws -> FileSettings {
    try settings(path, rotate: ["size": .size(size)], compress: compression)
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

extension FileSettings {
    /// Settings of files that are appended to.
    static func plain(_ path: String, _ compression: Compression = .none) throws -> FileSettings {
        try settings(path, compress: compression)
    }
}

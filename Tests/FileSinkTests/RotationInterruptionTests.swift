import ConnectorKit
import ConnectorTesting
import Foundation
import Glibc
import ProgramTesting
import Synchronization
import Testing

@testable import FileSink

/// Whatever interrupts the sink, with rotation and compression each event stands in one file once, each finished file
/// stays as it is, and the manifest tells of all finished files and of nothing else.
@Suite(.serialized)
struct RotationInterruptionTests {
    /// A run of random batches, crashes and power cuts, as in ``InterruptionTests``.
    @Test(arguments: 0..<24)
    func randomInterruptionsNeitherLoseNorDouble(seed: Int) async throws {
        var trial = try RotationTrial(seed: seed)
        try await trial.runToTheEnd { trial, sink in
            // An interruption of any kind: at the end of a batch, before or after its cursor is stored.
            Int.random(in: 0..<10, using: &trial.random) == 0
        }
        #expect(trial.interruptions > 0)
        try trial.compare()
    }

    /// Each system call fails once, the first, the second, and so on until a run needs fewer.
    @Test(arguments: FileCall.allCases, [Compression.none, .gzip])
    func theNthCallFailsAndNothingIsLost(call: FileCall, compression: Compression) async throws {
        // Each run of gzip is a program: of every fifth call it is seen, of the others by the runs without.
        for number in stride(from: 1, to: 600, by: compression == .none ? 1 : 5) {
            var trial = try RotationTrial(seed: number, compression, eventCount: compression == .none ? 60 : 200)
            let fault = NthCall(call, number)
            trial.fault = fault.fault
            // Files are cut only after an interruption.
            try await trial.runToTheEnd { trial, _ in
                call == .cut && Int.random(in: 0..<4, using: &trial.random) == 0
            }
            try trial.compare()
            if !fault.hasStruck { return #expect(number > 1, "\(call) is never called") }
            #expect(trial.failures == ["file.io_error"], "\(call) \(number)")
        }
        Issue.record("\(call) never succeeds")
    }

    /// A disk that is full at any step: after room is made, delivery goes on.
    @Test(arguments: Compression.allCases)
    func aFullDiskLosesNothing(compression: Compression) async throws {
        let disk = try SmallDisk(bytes: 160 << 10)
        var trial = try RotationTrial(seed: 3, compression, eventCount: 4000, at: disk.path, size: 16 << 10)
        var roundsLeft = 40
        while true {
            try await trial.run { _, _ in false }
            if trial.isDone { break }
            roundsLeft -= 1
            try #require(roundsLeft > 0)
            // The loader takes the finished files away, which makes room.
            try trial.collectFinished()
        }
        #expect(trial.failures.contains("file.disk_full"))
        #expect(Set(trial.failures) == ["file.disk_full"])
        try trial.compare()
    }

    /// The real thing: a process that is killed at each named point, and another one that goes on.
    @Test(
        arguments: [
            ("file.torn_write:2", Compression.gzip), ("file.torn_write:5", .zstd), ("file.before_sync:3", .zstd),
            ("file.after_sync:3", .gzip), ("file.listed:1", .none), ("file.listed:3", .gzip),
            ("file.finishing:1", .zstd), ("file.finishing:2", .none), ("file.renamed:1", .gzip),
            ("file.renamed:2", .none), ("file.manifested:1", .none), ("file.manifested:2", .gzip),
        ])
    func aProcessKilledAtANamedPointLeavesEachEventOnce(point: String, compression: Compression) async throws {
        let folder = try SinkFolder(inMemory: true)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = folder.path as String, point = point as String, number = compression.rawValue as UInt8] in
            try await writeUntilKilled(path, haltAt: point, Compression(rawValue: number) ?? .none)
        }
        var trial = try RotationTrial(seed: 0, compression, eventCount: 200, at: folder.path)
        let stored = try StoredCursor(path: folder.path + "-cursor").load()
        #expect(stored.nextOffset < 200)
        trial.take(stored)
        try await trial.runToTheEnd { _, _ in false }
        try trial.compare()
        try? FileManager.default.removeItem(atPath: folder.path + "-cursor")
    }
}

/// Writes the events of a trial in batches with a receipt each, in a process that stops at a point and is then killed.
private func writeUntilKilled(_ path: String, haltAt point: String, _ compression: Compression) async throws {
    setenv("MILLRACE_HALT_AT", point, 1)
    killAtHalt()
    let trial = try RotationTrial(seed: 0, compression, eventCount: 200, at: path)
    let stored = StoredCursor(path: path + "-cursor")
    let sink = FileSink(trial.settings)
    try await sink.open(try stored.load())
    for start in stride(from: 0, to: 200, by: 10) {
        let batch = recordBatch(Array(trial.events[start..<(start + 10)]), nextOffset: UInt64(start + 10))
        let receipt = try await sink.write(batch, .required)
        try stored.save(cursor: UInt64(start + 10), state: receipt.state)
    }
}

/// Makes one call fail: the n-th of its kind.
private final class NthCall: Sendable {
    private let state: Mutex<(left: Int, hasStruck: Bool)>
    private let call: FileCall

    init(_ call: FileCall, _ number: Int) {
        self.call = call
        state = Mutex((number, false))
    }

    var hasStruck: Bool { state.withLock { $0.hasStruck } }

    var fault: FileFault {
        { call in
            guard call == self.call else { return 0 }
            return self.state.withLock { state in
                state.left -= 1
                if state.left == 0 { state.hasStruck = true }
                return state.left == 0 ? EIO : 0
            }
        }
    }
}

/// Events that go through a rotating sink with interruptions, and what must be in the folder in the end.
struct RotationTrial {
    private let folder: SinkFolder
    private let copies: SinkFolder
    private let path: String
    let compression: Compression
    let events: [TestEvent]
    let settings: FileSettings
    let store = CursorStore()
    var random: SeededGenerator
    var fault: FileFault?
    private(set) var interruptions = 0
    private(set) var failures: [String] = []
    /// Finished files and what was in them when they were seen first.
    private var finished: [String: [UInt8]] = [:]
    /// What the loader took away, by name.
    private var collected: [String: String] = [:]

    init(
        seed: Int, _ compression: Compression? = nil, eventCount: Int = 400, at place: String? = nil, size: Int = 1024
    ) throws {
        folder = try SinkFolder(inMemory: true)
        copies = try SinkFolder(inMemory: true)
        path = place ?? folder.path
        var random = SeededGenerator(seed: UInt64(seed))
        self.compression = compression ?? Compression.allCases[seed % 3]
        events = (0..<eventCount).map { number in
            let letters = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
                // Nothing that compresses well: files must get their size.
                String(UInt32.random(in: 0...UInt32.max, using: &random), radix: 36)
            }
            return TestEvent(
                line: "{\"n\": \(number), \"t\": \"\(letters.joined())\"}",
                table: "t\(Int.random(in: 0..<3, using: &random))",
                committedAt: Int64(number / (eventCount / 2 + 1)) * 86_400_000_000)
        }
        settings = try rotatingSettings(
            path + (seed % 2 == 0 ? "/{table}.jsonl" : "/{date}/{table}.jsonl"), self.compression,
            size: size)
        self.random = random
    }

    var isDone: Bool { store.last.cursor == UInt64(events.count) }

    /// Begins with what another process stored.
    func take(_ context: SinkContext) {
        store.store(.durable(before: context.nextOffset, state: context.state))
    }

    mutating func runToTheEnd(_ isInterrupted: (inout RotationTrial, FileSink) -> Bool) async throws {
        for _ in 0..<500 where !isDone { try await run(isInterrupted) }
        try #require(isDone)
        let last = FileSink(settings)
        try await last.open(store.context())
        store.store(try await last.write(.empty(nextOffset: store.last.cursor), .required))
        await last.close()
        try lookAtFinished()
    }

    /// Opens a sink and writes from the cursor on until the end, a failure or an interruption.
    mutating func run(_ isInterrupted: (inout RotationTrial, FileSink) -> Bool) async throws {
        let sink = FileSink(settings, fault: fault)
        do {
            try await sink.open(store.context())
            if try await write(to: sink, isInterrupted) {
                interruptions += 1
                await sink.close()
                store.losePower(&random)
                try tearTails()
            }
        } catch let failure as ConnectorFailure {
            failures.append(failure.code)
        }
        await sink.close()
        try lookAtFinished()
    }

    private mutating func write(
        to sink: FileSink, _ isInterrupted: (inout RotationTrial, FileSink) -> Bool
    ) async throws -> Bool {
        var next = Int(store.last.cursor)
        while next < events.count {
            let end = min(events.count, next + Int.random(in: 1...12, using: &random))
            let batch = recordBatch(Array(events[next..<end]), nextOffset: UInt64(end))
            let receipt = try await sink.write(
                batch, Int.random(in: 0..<3, using: &random) == 0 ? .required : .whenConvenient)
            next = end
            if isInterrupted(&self, sink) { return true }
            store.store(receipt)
            if isInterrupted(&self, sink) { return true }
        }
        store.store(try await sink.write(.empty(nextOffset: UInt64(events.count)), .required))
        try await sink.finish()
        return false
    }

    /// What a power cut may do to bytes that no receipt with a sync covers.
    private mutating func tearTails() throws {
        for entry in try FileState(decoding: store.last.state ?? FileState().encoded).entries
        where entry.part?.finishedAt == nil {
            guard let handle = FileHandle(forUpdatingAtPath: entry.path) else { continue }
            let size = try handle.seekToEnd()
            let safe = UInt64(entry.extent.length)
            if size > safe {
                let kept = UInt64.random(in: safe...size, using: &random)
                try handle.truncate(atOffset: kept)
                if Bool.random(using: &random) { try handle.truncate(atOffset: size) }
            }
            // The ending of a stream was being written over.
            if !entry.extent.ending.isEmpty, size >= safe, Bool.random(using: &random) {
                try handle.seek(toOffset: safe - UInt64(entry.extent.ending.count))
                try handle.write(contentsOf: Data([0xAB]))
            }
            try handle.close()
        }
    }

    /// A finished file is whole, and is ever after as it was.
    private mutating func lookAtFinished() throws {
        for name in try names() where !name.hasSuffix(".part") && !name.hasSuffix(".manifest") {
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
            if let before = finished.updateValue(bytes, forKey: name) { #expect(before == bytes, "\(name)") }
        }
    }

    private func names() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: path).sorted().filter { !$0.hasSuffix("-cursor") }
            .filter { (try? FileManager.default.contentsOfDirectory(atPath: path + "/" + $0)) == nil }
    }

    /// What a loader does: it takes what the manifest tells of.
    mutating func collectFinished() throws {
        for line in try manifest() where collected[line.name] == nil {
            let place = path + "/" + line.name
            let text = try decompressed([place], compression)
            collected[line.name] = text
            #expect(text.split(separator: "\n").count == line.records)
            try FileManager.default.removeItem(atPath: place)
        }
    }

    private func manifest() throws -> [ManifestLine] {
        var lines: [ManifestLine] = []
        for name in try names() where name.hasSuffix("_archive.manifest") {
            let text = try String(contentsOfFile: path + "/" + name, encoding: .utf8)
            let prefix = name.dropLast("_archive.manifest".count)
            for line in text.split(separator: "\n") {
                var decoded = try JSONDecoder().decode(ManifestLine.self, from: Data(line.utf8))
                decoded.name = prefix + decoded.name
                lines.append(decoded)
            }
        }
        return lines
    }

    private func table(of name: String) -> String {
        String((name.split(separator: "/").last ?? "").prefix { $0 != "-" })
    }

    /// What is in the files and in those that were taken away, table by table. Names sort as the files were begun.
    private func text(of names: [String]) throws -> String {
        var text = ""
        var waiting: [String] = []
        for name in (names + collected.keys).sorted(by: { (table(of: $0), $0) < (table(of: $1), $1) }) {
            if let collected = collected[name] {
                text += try decompressed(waiting, compression) + collected
                waiting = []
            } else {
                waiting.append(try whole(name))
            }
        }
        return text + (try decompressed(waiting, compression))
    }

    private var expectedText: String {
        Set(events.map(\.table)).sorted().flatMap { table in events.filter { $0.table == table } }
            .map { $0.line + "\n" }.joined()
    }

    /// The path of a file. The tools look at the extension, so what is not finished is copied to a whole name.
    private func whole(_ name: String) throws -> String {
        guard name.hasSuffix(".part") else { return path + "/" + name }
        let copy = "\(copies.path)/\(UUID().uuidString)\(compression.suffix)"
        try FileManager.default.copyItem(atPath: path + "/" + name, toPath: copy)
        return copy
    }

    /// Each event once, in order; the manifest is exact; nothing that is unknown lies about.
    func compare() throws {
        var lines = try manifest()
        #expect(Set(lines.map(\.name)).count == lines.count, "a file stands in the manifest once")
        lines.removeAll { collected[$0.name] != nil }
        let names = try names().filter { !$0.hasSuffix(".manifest") }
        let whole = names.filter { !$0.hasSuffix(".part") }
        #expect(Set(lines.map(\.name)) == Set(whole))
        #expect(whole.count + collected.count > 2, "a run without rotation proves nothing")
        for line in lines {
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path + "/" + line.name)))
            #expect(line.bytes == bytes.count && line.crc32 == Checksum.text(Checksum.crc32(bytes)), "\(line.name)")
            #expect(line.lastOffset - line.firstOffset + 1 >= UInt64(line.records))
        }
        #expect(try text(of: names) == expectedText, "\(names)")
    }
}

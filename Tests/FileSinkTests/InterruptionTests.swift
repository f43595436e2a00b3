import ConnectorKit
import ConnectorTesting
import Foundation
import Glibc
import Testing

@testable import FileSink

/// Whatever interrupts the sink, each file has each of its lines exactly once, in order.
struct InterruptionTests {
    /// A run of random batches, crashes and power cuts. After each interruption a new sink opens the same files with
    /// what the event log would still have.
    @Test(arguments: 0..<40)
    func randomInterruptionsNeitherLoseNorDouble(seed: Int) async throws {
        let folder = try SinkFolder()
        let store = CursorStore()
        var random = SeededGenerator(seed: UInt64(seed))
        let events = (0..<400).map { number in
            TestEvent(
                line: "{\"n\": \(number)" + String(repeating: "x", count: Int.random(in: 0..<60, using: &random)) + "}",
                table: "t\(Int.random(in: 0..<5, using: &random))",
                committedAt: Int64(number / 150) * 86_400_000_000)
        }
        let template = seed % 2 == 0 ? "{table}.jsonl" : "{date}/{table}.jsonl"
        if seed % 3 == 0 { try folder.put("theirs, torn", "t1.jsonl") }
        var interruptions = 0
        while store.last.cursor < UInt64(events.count) {
            let sink = FileSink(try settings(folder.path + "/" + template))
            try await sink.open(store.context())
            try expectOnlyCoveredBytes(store)
            let isCutShort = try await run(sink, events, store, &random)
            await sink.close()
            if isCutShort {
                interruptions += 1
                store.losePower(&random)
                try tearTails(folder, store, &random)
            }
        }
        #expect(interruptions > 0)
        let last = FileSink(try settings(folder.path + "/" + template))
        try await last.open(store.context())
        await last.close()
        try compare(folder, events, template)
    }

    /// After opening, no listed file has more than what the cursor covers.
    private func expectOnlyCoveredBytes(_ store: CursorStore) throws {
        for entry in try FileState(decoding: store.last.state ?? FileState().encoded).entries {
            let size = try? FileManager.default.attributesOfItem(atPath: entry.path)[.size] as? Int
            #expect(size == nil || size == entry.extent.length)
        }
    }

    /// Writes from the cursor on; true when it was interrupted before the end.
    private func run(
        _ sink: FileSink, _ events: [TestEvent], _ store: CursorStore, _ random: inout SeededGenerator
    ) async throws -> Bool {
        var next = Int(store.last.cursor)
        while next < events.count {
            let end = min(events.count, next + Int.random(in: 1...12, using: &random))
            let batch = recordBatch(Array(events[next..<end]), nextOffset: UInt64(end))
            let receipt = try await sink.write(
                batch, Int.random(in: 0..<3, using: &random) == 0 ? .required : .whenConvenient)
            next = end
            // Killed between the receipt and the commit of the cursor, or after it.
            if Int.random(in: 0..<12, using: &random) == 0 { return true }
            store.store(receipt)
            if Int.random(in: 0..<12, using: &random) == 0 { return true }
        }
        store.store(try await sink.write(.empty(nextOffset: UInt64(events.count)), .required))
        return false
    }

    /// What a power cut may do to bytes that no receipt with a sync covers: they are missing, or zero.
    private func tearTails(_ folder: SinkFolder, _ store: CursorStore, _ random: inout SeededGenerator) throws {
        for entry in try FileState(decoding: store.last.state ?? FileState().encoded).entries {
            guard let handle = FileHandle(forUpdatingAtPath: entry.path) else { continue }
            let size = try handle.seekToEnd()
            guard size > UInt64(entry.extent.length) else { continue }
            let kept = UInt64.random(in: UInt64(entry.extent.length)...size, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: try handle.truncate(atOffset: kept)
            case 1:
                try handle.seek(toOffset: kept)
                try handle.write(contentsOf: Data(count: Int(size - kept)))
            default:
                if entry.extent.length == 0, Bool.random(using: &random) {
                    try FileManager.default.removeItem(atPath: entry.path)
                }
            }
            try handle.close()
        }
    }

    private func compare(_ folder: SinkFolder, _ events: [TestEvent], _ template: String) throws {
        var expected: [String: String] = [:]
        for event in events {
            let day = CalendarDay(CalendarDay.number(ofMicroseconds: event.committedAt)).text
            let name = template.hasPrefix("{date}") ? "\(day)/\(event.table).jsonl" : "\(event.table).jsonl"
            expected[name, default: ""] += event.line + "\n"
        }
        for (name, text) in expected {
            let content = try folder.content(name)
            #expect(content == text || content == "theirs, torn\n" + text, "\(name)")
        }
    }

    /// The real thing: a process that is killed at each named point, and another one that goes on.
    @Test(arguments: [
        "file.torn_write:1", "file.torn_write:5", "file.before_sync:2", "file.after_sync:1", "file.after_sync:3",
    ])
    func aProcessKilledAtANamedPointLeavesEachLineOnce(point: String) async throws {
        let folder = try SinkFolder()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = folder.path as String, point = point as String] in
            try await writeUntilKilled(path, haltAt: point)
        }
        let before = try folder.content("t0.jsonl")
        #expect(point.hasPrefix("file.torn_write") ? !before.hasSuffix("}\n") : before.hasSuffix("}\n"))
        let store = try StoredCursor(path: folder.path + "/cursor").load()
        let sink = FileSink(try settings(folder.path + "/{table}.jsonl"))
        try await sink.open(store)
        let rest = Array(killEvents[Int(store.nextOffset)...])
        _ = try await sink.write(recordBatch(rest, nextOffset: UInt64(killEvents.count)), .required)
        await sink.close()
        for table in 0..<2 {
            let lines = killEvents.filter { $0.table == "t\(table)" }.map { $0.line + "\n" }.joined()
            #expect(try folder.content("t\(table).jsonl") == lines)
        }
    }
}

private let killEvents = (0..<40).map { TestEvent(line: "{\"event number\": \($0)}", table: "t\($0 % 2)") }

/// Writes batches of four with a receipt each, in a process that stops at a point and is then killed.
private func writeUntilKilled(_ path: String, haltAt point: String) async throws {
    setenv("MILLRACE_HALT_AT", point, 1)
    killAtHalt()
    let stored = StoredCursor(path: path + "/cursor")
    let sink = FileSink(try settings(path + "/{table}.jsonl"))
    try await sink.open(try stored.load())
    for start in stride(from: 0, to: killEvents.count, by: 4) {
        let batch = recordBatch(Array(killEvents[start..<(start + 4)]), nextOffset: UInt64(start + 4))
        let receipt = try await sink.write(batch, .required)
        try stored.save(cursor: UInt64(start + 4), state: receipt.state)
    }
}

/// Kills this process when it says on standard error that it halted at a point of the file sink.
func killAtHalt() {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    dup2(ends[1], 2)
    let reading = ends[0]
    startThread(name: "killer") {
        // The report of the halt, and not a time, is what the kill waits for.
        var bytes = [UInt8](repeating: 0, count: 512)
        while true {
            let count = read(reading, &bytes, bytes.count)
            if count <= 0 || String(decoding: bytes.prefix(count), as: UTF8.self).contains("halted at file.") { break }
        }
        kill(getpid(), SIGKILL)
    }
}

/// A cursor and a state in a file, replaced as one.
struct StoredCursor: Sendable {
    let path: String

    func load() throws -> SinkContext {
        let bytes = (try? Data(contentsOf: URL(fileURLWithPath: path))).map { [UInt8]($0) } ?? [0]
        return SinkContext(
            name: "archive", state: bytes.count > 1 ? Array(bytes.dropFirst()) : nil, nextOffset: UInt64(bytes[0])
        ) {
            state throws(ConnectorFailure) in
            do {
                let cursor = (try? Data(contentsOf: URL(fileURLWithPath: path)))?.first ?? 0
                try save(cursor: UInt64(cursor), state: state)
            } catch { throw ConnectorFailure("test.store", .stop, "\(error)") }
        }
    }

    func save(cursor: UInt64, state: [UInt8]?) throws {
        let kept = (try? Data(contentsOf: URL(fileURLWithPath: path))).map { [UInt8]($0.dropFirst()) } ?? []
        try Data([UInt8(cursor)] + (state ?? kept)).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}

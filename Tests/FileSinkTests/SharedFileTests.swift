import ConnectorKit
import Foundation
import Testing

@testable import FileSink

/// Sinks of different logs that were told the same path: each line that one of them called durable stays.
struct SharedFileTests {
    private let folder: SinkFolder
    private let ours = CursorStore()
    private let theirs = CursorStore()

    init() throws { folder = try SinkFolder() }

    private func opened(
        _ path: String, _ store: CursorStore, _ name: String = "archive", pipeline: String = "shop", log: String = "1",
        rotate: [String: SettingValue]? = nil
    ) async throws -> FileSink {
        let settings = try settings(folder.path + "/" + path, pipeline: pipeline, rotate: rotate)
        let sink = FileSink(settings)
        try await sink.open(store.context(name, log: log))
        return sink
    }

    private func write(_ sink: FileSink, _ lines: [String], _ store: CursorStore) async throws {
        let events = lines.map { TestEvent(line: $0) }
        let next = store.last.cursor + UInt64(lines.count)
        store.store(try await sink.write(recordBatch(events, nextOffset: next), .required))
    }

    /// Writes what no cursor ever covers, as a kill before the receipt leaves it.
    private func writeAndDie(_ sink: FileSink, _ line: String, _ store: CursorStore) async throws {
        _ = try await sink.write(recordBatch([TestEvent(line: line)], nextOffset: store.last.cursor + 1), .required)
        await sink.close()
    }

    private func lines(_ name: String) throws -> [String] {
        try folder.content(name).split(separator: "\n").map(String.init)
    }

    @Test(arguments: [("archive", "crm", "2"), ("other", "shop", "1"), ("archive", "shop", "2")])
    func aStartCutsNothingThatAnotherSinkWroteSince(_ name: String, _ pipeline: String, _ log: String) async throws {
        var sink = try await opened("a", ours)
        try await write(sink, ["1"], ours)
        try await writeAndDie(sink, "2", ours)
        let other = try await opened("a", theirs, name, pipeline: pipeline, log: log)
        try await write(other, ["b1", "b2"], theirs)
        await other.close()
        sink = try await opened("a", ours)
        #expect(try lines("a") == ["1", "2", "b1", "b2"])
        try await write(sink, ["2"], ours)
        await sink.close()
        let again = try await opened("a", theirs, name, pipeline: pipeline, log: log)
        try await write(again, ["b3"], theirs)
        #expect(try lines("a") == ["1", "2", "b1", "b2", "2", "b3"])
    }

    @Test func aFileThatAnotherSinkHasIsNotCutAtTheStart() async throws {
        let sink = try await opened("a", ours)
        try await write(sink, ["1"], ours)
        try await writeAndDie(sink, "2", ours)
        // One that marks nothing, like an earlier version.
        let descriptor = open(folder.path + "/a", O_RDWR | O_APPEND)
        defer { close(descriptor) }
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        #expect(await failureCode { _ = try await opened("a", ours) } == "file.in_use")
        #expect(try lines("a") == ["1", "2"])
    }

    @Test func aCrashBetweenStateAndMarkLosesNothingOfTheOther() async throws {
        let sink = try await opened("a", ours)
        try await write(sink, ["1"], ours)
        await sink.close()
        let other = try await opened("a", theirs, "other")
        try await write(other, ["b1"], theirs)
        await other.close()
        // What our state says of the file once more, as if we had been killed before the first write.
        let again = try await opened("a", ours)
        try await writeAndDie(again, "2", ours)
        let last = try await opened("a", ours)
        try await write(last, ["2"], ours)
        #expect(try lines("a") == ["1", "b1", "2"])
    }

    @Test func whatSomebodyAppendedToAFileThatWasClosedMeanwhileStays() async throws {
        let sink = try await opened("{table}", ours)
        func write(_ tables: [String], _ line: String) async throws {
            let next = ours.last.cursor + UInt64(tables.count)
            let events = tables.map { TestEvent(line: line, table: $0) }
            ours.store(try await sink.write(recordBatch(events, nextOffset: next), .required))
        }
        try await write(["first"], "1")
        try await write((0..<FileSink.descriptorsMax + 40).map { "t\($0)" }, "1")
        let descriptor = open(folder.path + "/first", O_WRONLY | O_APPEND)
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0, "the sink still has the file open")
        #expect(Foundation.write(descriptor, "theirs\n", 7) == 7)
        close(descriptor)
        try await write(["first"], "2")
        #expect(try lines("first") == ["1", "theirs", "2"])
    }

    @Test func rotatingSinksThatTakeTurnsFinishEachLineOnce() async throws {
        let rotate: [String: SettingValue] = ["size": .size(1024), "finish_on_stop": .flag(true)]
        var all: [String] = []
        for round in 0..<4 {
            for (store, name) in [(ours, "one"), (theirs, "other")] {
                let sink = try await opened("{table}.jsonl", store, name, rotate: rotate)
                let lines = (0..<15).map { "\(name) \(round) \($0) " + String(repeating: "x", count: 90) }
                all += lines
                try await write(sink, lines, store)
                if round == 2 { try await writeAndDie(sink, "torn", store) } else { try await sink.finish() }
                await sink.close()
            }
        }
        for (store, name) in [(ours, "one"), (theirs, "other")] {
            let sink = try await opened("{table}.jsonl", store, name, rotate: rotate)
            try await sink.finish()
            await sink.close()
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".jsonl") }
        #expect(try files.flatMap(lines).sorted() == all.sorted())
    }

    @Test func sinksOfOneNameInTwoPipelinesKeepTheLinesOfAManifest() async throws {
        let rotate: [String: SettingValue] = ["size": .size(1024), "finish_on_stop": .flag(true)]
        func finish(_ path: String, _ store: CursorStore, _ pipeline: String, _ line: String) async throws {
            let sink = try await opened(path, store, pipeline: pipeline, rotate: rotate)
            try await write(sink, [line], store)
            try await sink.finish()
            await sink.close()
        }
        try await finish("a-{offset}", ours, "shop", "1")
        try await finish("b-{offset}", theirs, "crm", "1")
        try await finish("a-{offset}", ours, "shop", "2")
        #expect(try folder.manifest().map { $0.name.prefix(1) } == ["a", "b", "a"])
    }
}

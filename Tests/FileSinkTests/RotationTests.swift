import ConnectorKit
import Foundation
import Glibc
import Testing

@testable import FileSink

struct RotationTests {
    let folder: SinkFolder
    let store = CursorStore()
    let clock = TestClock()

    init() throws { folder = try SinkFolder() }

    private func opened(
        _ path: String, _ rotate: [String: SettingValue], _ compression: Compression = .none, partitions: Int? = nil
    ) async throws -> FileSink {
        let settings = try settings(
            folder.path + "/" + path, rotate: rotate, compress: compression, partitions: partitions)
        let sink = FileSink(settings, clock: clock.clock)
        try await sink.open(store.context())
        return sink
    }

    private func write(
        _ sink: FileSink, _ lines: [String], _ durability: Durability = .required, table: String = "orders",
        at time: Int64 = TestClock.start
    ) async throws {
        let events = lines.map { TestEvent(line: $0, table: table, committedAt: time) }
        let next = written + UInt64(events.count)
        store.store(try await sink.write(recordBatch(events, nextOffset: next), durability))
        writtenBox.value = next
    }

    private let writtenBox = Counter()
    private var written: UInt64 { writtenBox.value }

    /// What the pipeline does when nothing is to be written.
    private func attend(_ sink: FileSink) async throws {
        store.store(try await sink.write(.empty(nextOffset: written), .required))
    }

    private func name(_ offset: Int, _ table: String = "orders", _ suffix: String = ".jsonl") -> String {
        table + "-" + String(repeating: "0", count: 20 - String(offset).count) + String(offset) + suffix
    }

    @Test func aFileIsFinishedBeforeItWouldBecomeLargerThanItsSize() async throws {
        let sink = try await opened("{table}.jsonl", ["size": .size(1024)])
        let lines = (0..<30).map { "\($0)" + String(repeating: "x", count: 98) }
        try await write(sink, lines)
        #expect(try folder.names() == [name(0), name(10), name(20)].map { $0 + ".part" })
        #expect(try folder.manifest() == [])
        try await attend(sink)
        #expect(try folder.names() == ["_archive.manifest", name(0), name(10), name(20) + ".part"])
        #expect(try folder.content(name(0)) == lines[0..<10].map { $0 + "\n" }.joined())
        let manifest = try folder.manifest()
        #expect(manifest.map(\.name) == [name(0), name(10)])
        #expect(manifest.map(\.records) == [10, 10])
        #expect(manifest.map(\.firstOffset) == [0, 10] && manifest.map(\.lastOffset) == [9, 19])
        #expect(manifest.map(\.bytes) == [try folder.bytes(name(0)).count, try folder.bytes(name(10)).count])
        #expect(manifest[0].crc32 == Checksum.text(Checksum.crc32(try folder.bytes(name(0)))))
        #expect(manifest[0].finishedAt == "2026-11-21T10:00:00.000000Z")
    }

    @Test func oneEventMayBeLargerThanTheSize() async throws {
        let sink = try await opened("{table}.jsonl", ["size": .size(1024)])
        try await write(sink, ["a", String(repeating: "b", count: 5000), "c"])
        try await attend(sink)
        #expect(try folder.manifest().map(\.bytes) == [2, 5001])
    }

    @Test func aFileIsFinishedWhenItHasItsAgeAlsoWhileNothingComes() async throws {
        let sink = try await opened("{table}.jsonl", ["age": .duration(.seconds(3600))])
        #expect(sink.attention == .seconds(1))
        try await write(sink, ["1"])
        clock.pass(.seconds(3599))
        try await write(sink, ["2"])
        try await attend(sink)
        #expect(try folder.names() == [name(0) + ".part"])
        clock.pass(.seconds(1))
        try await attend(sink)
        #expect(try folder.names() == ["_archive.manifest", name(0)])
        #expect(try folder.content(name(0)) == "1\n2\n")
        try await write(sink, ["3"])
        #expect(try folder.names().last == name(2) + ".part")
    }

    @Test func theAgeIsKeptOverARestartAndAClockThatWasSetBackOnlyDelays() async throws {
        var sink = try await opened("{table}.jsonl", ["age": .duration(.seconds(3600))])
        try await write(sink, ["1"])
        await sink.close()
        clock.pass(.seconds(3000))
        sink = try await opened("{table}.jsonl", ["age": .duration(.seconds(3600))])
        clock.set(by: .seconds(-86_400))
        try await attend(sink)
        clock.pass(.seconds(3599))
        try await attend(sink)
        #expect(try folder.manifest() == [])
        clock.pass(.seconds(2))
        try await attend(sink)
        #expect(try folder.manifest().map(\.name) == [name(0)])
    }

    @Test func theFileOfADayIsFinishedOnceTheDayIsOverAndNothingCameForAMinute() async throws {
        let sink = try await opened("{date}/{table}.jsonl", ["date": .flag(true)])
        let evening = TestClock.start + 13 * 3_600_000_000
        try await write(sink, ["1"], at: evening)
        clock.pass(.seconds(14 * 3600 - 20))
        try await write(sink, ["2"], at: evening + 2 * 3_600_000_000)
        try await write(sink, ["late"], at: evening)
        clock.pass(.seconds(59))
        try await attend(sink)
        #expect(try folder.manifest("2026-11-21") == [], "the day is over, but an event came less than a minute ago")
        clock.pass(.seconds(2))
        try await attend(sink)
        #expect(try folder.content("2026-11-21/" + name(0)) == "1\nlate\n")
        #expect(try folder.manifest("2026-11-21").map(\.records) == [2])
        #expect(try folder.names("2026-11-22") == [name(1) + ".part"])
        try await write(sink, ["later still"], at: evening)
        #expect(try folder.content("2026-11-21/" + name(3) + ".part") == "later still\n")
    }

    @Test func whatIsNotFinishedIsGoneOnWithByTheNextRun() async throws {
        for compression in Compression.allCases {
            var sink = try await opened("\(compression.name)/{table}", ["size": .size(1 << 20)], compression)
            let first = Int(written)
            try await write(sink, ["1"])
            try await write(sink, ["lost"], .whenConvenient)
            await sink.close()
            writtenBox.value -= 1
            sink = try await opened("\(compression.name)/{table}", ["size": .size(1 << 20)], compression)
            try await write(sink, ["2"])
            let part = "\(compression.name)/" + name(first, "orders", compression.suffix) + ".part"
            #expect(try folder.names(compression.name).count == 1)
            // The tools look at the extension.
            let named = String(part.dropLast(".part".count))
            try FileManager.default.copyItem(atPath: folder.path + "/" + part, toPath: folder.path + "/" + named)
            #expect(try folder.text(of: [named], compression) == "1\n2\n")
            await sink.close()
        }
    }

    @Test func stoppingInOrderFinishesFilesOnlyWhenAskedTo() async throws {
        for isAsked in [false, true] {
            let sink = try await opened(
                "{table}.jsonl", ["size": .size(1 << 20), "finish_on_stop": .flag(isAsked)])
            try await write(sink, ["1"])
            try await sink.finish()
            await sink.close()
            #expect(try folder.names() == (isAsked ? ["_archive.manifest", name(0)] : [name(0) + ".part"]))
        }
        #expect(try folder.content(name(0)) == "1\n1\n")
        // The finished file is no longer in the state: who takes it away is not asked about it again.
        try FileManager.default.removeItem(atPath: folder.path + "/" + name(0))
        try FileManager.default.removeItem(atPath: folder.path + "/_archive.manifest")
        let sink = try await opened("{table}.jsonl", ["size": .size(1 << 20)])
        await sink.close()
        #expect(try folder.names() == [])
    }

    @Test func replayedEventsGoToNewFilesAndNoFinishedFileIsWrittenOver() async throws {
        var sink = try await opened("{table}.jsonl", ["size": .size(1024), "finish_on_stop": .flag(true)])
        try await write(sink, ["1", "2"])
        try await sink.finish()
        try await write(sink, ["3"])
        await sink.close()
        // The operator moves the cursor back.
        store.store(.durable(before: 0))
        writtenBox.value = 0
        sink = try await opened("{table}.jsonl", ["size": .size(1024), "finish_on_stop": .flag(true)])
        try await write(sink, ["1", "2", "3"])
        try await sink.finish()
        await sink.close()
        let again = name(0).replacingOccurrences(of: ".jsonl", with: "-2.jsonl")
        #expect(try folder.content(name(0)) == "1\n2\n")
        #expect(try folder.content(name(2)) == "3\n")
        #expect(try folder.content(again) == "1\n2\n3\n")
        #expect(try folder.manifest().map(\.name) == [name(0), name(2), again])
    }

    @Test func aNameThatSomebodyTookIsLeftToThem() async throws {
        let sink = try await opened("{table}.jsonl", ["size": .size(1024), "finish_on_stop": .flag(true)])
        try folder.put("theirs", name(0))
        try await write(sink, ["1"])
        let again = name(0).replacingOccurrences(of: ".jsonl", with: "-2.jsonl")
        #expect(try folder.names() == [again + ".part", name(0)].sorted())
        try folder.put("theirs too", again)
        try await sink.finish()
        #expect(try folder.content(name(0)) == "theirs")
        #expect(try folder.content(again) == "theirs too")
        #expect(try folder.content(name(0).replacingOccurrences(of: ".jsonl", with: "-3.jsonl")) == "1\n")
    }

    @Test func filesOfOtherSettingsAreFinishedAsTheyAre() async throws {
        var sink = try await opened("{table}.jsonl", ["size": .size(1 << 20)])
        try await write(sink, ["1"])
        await sink.close()
        sink = try await opened("{table}.jsonl", ["size": .size(1 << 20)], .gzip)
        try await write(sink, ["2"])
        #expect(try folder.names() == ["_archive.manifest", name(0), name(1) + ".gz.part"])
        await sink.close()
        let plain = FileSink(try settings(folder.path + "/{table}.jsonl"), clock: clock.clock)
        try await plain.open(store.context())
        try await write(plain, ["3"])
        #expect(try folder.text(of: [name(1) + ".gz"], .gzip) == "2\n")
        #expect(try folder.content("orders.jsonl") == "3\n")
    }

    @Test func aPartThatSomebodyTookAwayIsWrittenAgainFromTheCursor() async throws {
        var sink = try await opened("{table}.jsonl", ["size": .size(1 << 20)])
        try await write(sink, ["1"])
        try FileManager.default.moveItem(
            atPath: folder.path + "/" + name(0) + ".part", toPath: folder.path + "/theirs")
        #expect(await failureCode { try await write(sink, ["2"]) } == "file.changed_outside")
        sink = try await opened("{table}.jsonl", ["size": .size(1 << 20)])
        try await write(sink, ["2"])
        #expect(try folder.content("theirs") == "1\n")
        #expect(try folder.content(name(1) + ".part") == "2\n")
    }

    @Test func partitionsAreTheChecksumOfTheKey() async throws {
        let sink = try await opened("{table}-{partition}.jsonl", ["size": .size(1 << 20)], partitions: 16)
        let events = (0..<200).map { TestEvent(line: "\($0)", key: "key \($0 % 50)") }
        store.store(try await sink.write(recordBatch(events, nextOffset: 200), .required))
        let parts = try folder.names()
        #expect(parts.count == 16 && parts.allSatisfy { $0.hasSuffix(".part") })
        for part in parts {
            let number = try #require(Int(part.split(separator: "-")[1]))
            for line in try folder.content(part).split(separator: "\n") {
                let key = Array("key \((Int(line) ?? 0) % 50)".utf8)
                #expect(Int(Checksum.crc32(key)) % 16 == number)
            }
        }
        #expect(Checksum.crc32(Array("123456789".utf8)) == 0xCBF4_3926, "the checksum that everybody has")
    }

    @Test func moreFilesThanTheStateRemembersAreFinishedAndNotForgotten() async throws {
        let sink = try await opened("{table}/x", ["size": .size(1 << 20)])
        for round in 0..<3 {
            let events = (0..<500).map { TestEvent(line: "\(round)", table: "r\(round)-\($0)") }
            store.store(
                try await sink.write(recordBatch(events, nextOffset: UInt64(round + 1) * 500), .required))
        }
        store.store(try await sink.write(.empty(nextOffset: 1500), .required))
        let names = try folder.names().filter { !$0.hasSuffix(".manifest") }
        #expect(names.count == 1500)
        #expect(names.count { $0.hasSuffix(".part") } <= FileSink.entriesMax)
        #expect(names.contains { !$0.hasSuffix(".part") })
    }

    @Test(
        arguments: [
            ("{offset}.x", nil, "{offset} has a meaning only with rotate"),
            ("a", ["date": .flag(true)], "path has no {date}"),
            ("a", ["finish_on_stop": .flag(true)], "nothing says when files are finished"),
            ("/dev/stdout", ["size": .size(4096)], "a device cannot be rotated"),
            ("a", ["size": .size(1)], "the size is less than 1KiB"),
            ("a", ["age": .duration(.milliseconds(5))], "the age is less than 1s"),
            ("{partition}", nil, "need each other"),
        ] as [(String, [String: SettingValue]?, String)])
    func settingsThatMakeNoSenseAreRefused(path: String, rotate: [String: SettingValue]?, message: String) {
        let problem = #expect(throws: SettingProblem.self) { _ = try settings(path, rotate: rotate) }
        #expect(problem?.message.contains(message) == true)
        #expect(throws: SettingProblem.self) { _ = try settings("a", partitions: 4) }
    }
}

/// A number that a test moves on.
final class Counter: @unchecked Sendable {
    var value: UInt64 = 0
}

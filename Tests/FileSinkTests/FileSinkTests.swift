import ChangeModel
import ConnectorKit
import Foundation
import Synchronization
import Glibc
import Testing

@testable import FileSink

struct FileSinkTests {
    let folder: SinkFolder
    let store = CursorStore()

    init() throws { folder = try SinkFolder() }

    private func opened(_ template: String) async throws -> FileSink {
        let sink = FileSink(try settings(folder.path + "/" + template))
        try await sink.open(store.context())
        return sink
    }

    private func write(
        _ sink: FileSink, _ events: [TestEvent], next: UInt64, _ durability: Durability = .required
    ) async throws {
        store.store(try await sink.write(recordBatch(events, nextOffset: next), durability))
    }

    @Test func eachRecordIsALineOfItsTablesFile() async throws {
        let sink = try await opened("out/{schema}/{table}.jsonl")
        try await write(
            sink, [TestEvent(line: "1"), TestEvent(line: "2", table: "customers"), TestEvent(line: "3")], next: 3)
        try await write(sink, [TestEvent(line: "4")], next: 4)
        #expect(try folder.content("out/public/orders.jsonl") == "1\n3\n4\n")
        #expect(try folder.content("out/public/customers.jsonl") == "2\n")
        #expect(store.last.cursor == 4)
    }

    @Test func aFileADayIsMadeByTheTimeOfTheCommit() async throws {
        let sink = try await opened("{date}.jsonl")
        let day: Int64 = 86_400_000_000
        try await write(
            sink,
            [
                TestEvent(line: "a", committedAt: day - 1), TestEvent(line: "b", committedAt: day),
                TestEvent(line: "c", committedAt: 0),
            ], next: 3)
        #expect(try folder.content("1970-01-01.jsonl") == "a\nc\n")
        #expect(try folder.content("1970-01-02.jsonl") == "b\n")
    }

    @Test(arguments: [Array("SQLite format 3\0 and more".utf8), [0x37, 0x7F, 0x06, 0x82] + Array("and more".utf8)])
    func aDatabaseIsNeverWrittenTo(_ content: [UInt8]) async throws {
        try Data(content).write(to: URL(fileURLWithPath: folder.path + "/orders.db"))
        let sink = try await opened("{table}.db")
        for _ in 0..<2 {
            #expect(
                await failureCode { try await write(sink, [TestEvent(line: "1")], next: 1) } == "file.is_a_database")
            try await sink.open(store.context())
        }
        #expect(try folder.bytes("orders.db") == content)
        let findings = FileDoctor.findings(try settings(folder.path + "/orders.db"))
        #expect(findings.map(\.code) == ["file.is_a_database"])
    }

    @Test func acceptedIsNotDurableAndAnEmptyBatchMakesItSo() async throws {
        let sink = try await opened("a")
        let receipt = try await sink.write(recordBatch([TestEvent(line: "1")], nextOffset: 1), .whenConvenient)
        #expect(receipt == .accepted)
        let durable = try await sink.write(.empty(nextOffset: 9), .required)
        #expect(durable.durableBefore == 9)
        #expect(try FileState(decoding: durable.state ?? []).entries.map(\.extent.length) == [2])
        let again = try await sink.write(.empty(nextOffset: 12), .required)
        #expect(again == .durable(before: 12, state: nil))
    }

    @Test func aFileIsListedDurablyBeforeItIsWrittenTo() async throws {
        let sink = try await opened("{table}")
        let path = folder.path
        let seen = LengthsSeen()
        var context = store.context()
        let save = context.saveState
        context.saveState = { state throws(ConnectorFailure) in
            let entries = try FileState(decoding: state).entries
            seen.add(
                entries.map { entry in
                    let size = try? FileManager.default.attributesOfItem(atPath: entry.path)[.size] as? Int
                    return "\(entry.path.dropFirst(path.count)) \(entry.extent.length) \(size ?? -1)"
                })
            try await save(state)
        }
        try await sink.open(context)
        try await write(sink, [TestEvent(line: "1", table: "a"), TestEvent(line: "2", table: "b")], next: 2)
        try await write(sink, [TestEvent(line: "3", table: "a")], next: 3)
        try await write(sink, [TestEvent(line: "4", table: "c")], next: 4)
        #expect(seen.all == [["/a 0 0", "/b 0 0"], ["/a 4 4", "/b 2 2", "/c 0 0"]])
    }

    @Test func whatNoReceiptCoversIsCutOffAtTheNextOpen() async throws {
        var sink = try await opened("a")
        try await write(sink, [TestEvent(line: "one")], next: 1)
        try await write(sink, [TestEvent(line: "two"), TestEvent(line: "three")], next: 3, .whenConvenient)
        await sink.close()
        #expect(try folder.content("a") == "one\ntwo\nthree\n")
        sink = try await opened("a")
        #expect(try folder.content("a") == "one\n")
        try await write(sink, [TestEvent(line: "two")], next: 2)
        #expect(try folder.content("a") == "one\ntwo\n")
    }

    @Test func aFileThatWasThereIsAppendedToAndATornLineIsEnded() async throws {
        try folder.put("theirs\nto", "a")
        var sink = try await opened("a")
        try await write(sink, [TestEvent(line: "1")], next: 1, .whenConvenient)
        #expect(try folder.content("a") == "theirs\nto\n1\n")
        await sink.close()
        sink = try await opened("a")
        #expect(try folder.content("a") == "theirs\nto")
        try await write(sink, [TestEvent(line: "1")], next: 1)
        #expect(try folder.content("a") == "theirs\nto\n1\n")
    }

    @Test func aFileThatWasMovedAwayIsMadeAnewAndNeitherIsDamaged() async throws {
        var sink = try await opened("a")
        try await write(sink, [TestEvent(line: "1")], next: 1)
        try FileManager.default.moveItem(atPath: folder.path + "/a", toPath: folder.path + "/a.1")
        try await write(sink, [TestEvent(line: "2")], next: 2)
        #expect(try folder.content("a.1") == "1\n")
        #expect(try folder.content("a") == "2\n")
        await sink.close()
        try FileManager.default.moveItem(atPath: folder.path + "/a", toPath: folder.path + "/a.2")
        sink = try await opened("a")
        try await write(sink, [TestEvent(line: "3")], next: 3)
        #expect(try folder.content("a.2") == "2\n")
        #expect(try folder.content("a") == "3\n")
    }

    @Test func aFileThatSomebodyReplacedOrCutIsGoneOnBehindWhatIsThere() async throws {
        var sink = try await opened("{table}")
        try await write(
            sink, [TestEvent(line: "long line", table: "cut"), TestEvent(line: "1", table: "replaced")], next: 2)
        await sink.close()
        #expect(truncate(folder.path + "/cut", 3) == 0)
        try folder.put("somebody's own and longer\n", "other")
        #expect(rename(folder.path + "/other", folder.path + "/replaced") == 0)
        sink = try await opened("{table}")
        #expect(try folder.content("cut") == "lon")
        try await write(
            sink, [TestEvent(line: "2", table: "cut"), TestEvent(line: "2", table: "replaced")], next: 4)
        #expect(try folder.content("cut") == "lon\n2\n")
        #expect(try folder.content("replaced") == "somebody's own and longer\n2\n")
    }

    @Test func aFileDeletedOrCutUnderneathIsWrittenAgainFromTheCursor() async throws {
        for harm in ["delete", "cut"] {
            var sink = try await opened(harm)
            let first = store.last.cursor
            try await write(sink, [TestEvent(line: "one")], next: first + 1)
            try await write(sink, [TestEvent(line: "two")], next: first + 2, .whenConvenient)
            if harm == "delete" { unlink(folder.path + "/delete") } else { truncate(folder.path + "/cut", 0) }
            #expect(
                await failureCode { try await write(sink, [TestEvent(line: "three")], next: first + 3) }
                    == "file.changed_outside")
            #expect(await failureCode { try await write(sink, [TestEvent(line: "x")], next: 9) } == "file.not_open")
            await sink.close()
            #expect(store.last.cursor == first + 1)
            sink = try await opened(harm)
            try await write(sink, [TestEvent(line: "two"), TestEvent(line: "three")], next: first + 3)
            #expect(try folder.content(harm) == "two\nthree\n")
            await sink.close()
        }
    }

    @Test func aThousandFilesNeedFewDescriptors() async throws {
        var sink = try await opened("{table}/lines")
        let events = (0..<1000).map { TestEvent(line: "first \($0)", table: "t\($0)") }
        try await write(sink, events, next: 1000)
        #expect(try descriptorCount() <= FileSink.descriptorsMax)
        #expect(store.durableStateCount == 1)
        try await write(sink, events.map { TestEvent(line: "lost", table: $0.table) }, next: 2000, .whenConvenient)
        #expect(try descriptorCount() <= FileSink.descriptorsMax)
        await sink.close()
        #expect(try descriptorCount() == 0)
        sink = try await opened("{table}/lines")
        try await write(sink, events.map { TestEvent(line: "second", table: $0.table) }, next: 2000)
        for index in 0..<1000 { #expect(try folder.content("t\(index)/lines") == "first \(index)\nsecond\n") }
    }

    /// Descriptors of this process that are open on files of this test.
    private func descriptorCount() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { name in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)
            return target?.hasPrefix(folder.path) == true
        }.count
    }

    @Test func theStateForgetsFilesThatAreNoLongerWrittenTo() async throws {
        var sink = try await opened("{table}")
        for round in 0..<3 {
            let events = (0..<500).map { TestEvent(line: "\(round)", table: "r\(round)-\($0)") }
            try await write(sink, events, next: UInt64(round + 1))
        }
        let count = try FileState(decoding: store.last.state ?? []).entries.count
        #expect(count <= FileSink.entriesMax)
        #expect(count >= 500)
        await sink.close()
        sink = try await opened("{table}")
        try await write(sink, [TestEvent(line: "again", table: "r0-0")], next: 4)
        #expect(try folder.content("r0-0") == "0\nagain\n")
    }

    @Test func twoSinksNeverWriteToOneFile() async throws {
        let first = try await opened("a")
        try await write(first, [TestEvent(line: "1")], next: 1)
        let second = FileSink(try settings(folder.path + "/a"))
        try await second.open(CursorStore().context())
        #expect(
            await failureCode {
                _ = try await second.write(recordBatch([TestEvent(line: "2")], nextOffset: 1), .required)
            }
                == "file.in_use")
        #expect(try folder.content("a") == "1\n")
    }

    @Test func aDeviceTakesLinesWithoutAnyState() async throws {
        let sink = FileSink(try settings("/dev/null"))
        try await sink.open(store.context())
        let receipt = try await sink.write(recordBatch([TestEvent(line: "1")], nextOffset: 1), .required)
        #expect(receipt.durableBefore == 1)
        #expect(store.durableStateCount == 0)
        #expect(store.last.state == nil)
    }

    @Test func aPipeWithoutAReaderIsTriedAgain() async throws {
        let pipe = folder.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        let sink = FileSink(try settings(pipe))
        try await sink.open(store.context())
        #expect(await failureCode { try await write(sink, [TestEvent(line: "1")], next: 1) } == "file.no_reader")
        let reader = open(pipe, O_RDONLY | O_NONBLOCK)
        try await sink.open(store.context())
        try await write(sink, [TestEvent(line: "1")], next: 1)
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(read(reader, &bytes, 8) == 2)
        close(reader)
        #expect(await failureCode { try await write(sink, [TestEvent(line: "2")], next: 2) } == "file.no_reader")
    }

    @Test func errorsNameThePathAndTheReason() async throws {
        try folder.put("", "plain")
        try FileManager.default.createDirectory(atPath: folder.path + "/folder", withIntermediateDirectories: true)
        let cases = [
            ("plain/below/a", "file.not_a_directory"), ("folder", "file.is_a_directory"),
            (String(repeating: "n", count: 300), "file.path_too_long"),
        ]
        for (name, code) in cases {
            let sink = try await opened(name)
            let failure = await #expect(throws: ConnectorFailure.self) {
                try await write(sink, [TestEvent(line: "secret value")], next: 1)
            }
            #expect(failure?.code == code)
            #expect(failure?.message.contains(folder.path) == true)
            #expect(failure?.message.contains("secret") == false)
            #expect(failure?.hint != nil)
            #expect(failure?.setting == "sinks.archive.file.path")
        }
        let sink = FileSink(try settings("/proc/millrace/a"))
        try await sink.open(store.context())
        #expect(
            await failureCode { try await write(sink, [TestEvent(line: "1")], next: 1) }?.hasPrefix("file.") == true)
    }

    @Test func recordsOutsideOfTheirBatchAreAnErrorAndNoTrap() async throws {
        let good = recordBatch([TestEvent(line: "1")], nextOffset: 1)
        var outside = good.records[0]
        outside.payload.length = 500
        var otherTopic = good.records[0]
        otherTopic.topic = 4
        var noLineFeed = good.records[0]
        noLineFeed.payload.length = 0
        for record in [outside, otherTopic, noLineFeed] {
            let sink = try await opened("a")
            let batch = RecordBatch(body: good.body, records: [record], topics: good.topics, nextOffset: 1)
            #expect(await failureCode { _ = try await sink.write(batch, .required) } == "file.bad_batch")
        }
    }

    @Test func aStateOfAnotherVersionIsRefused() async throws {
        let sink = FileSink(try settings(folder.path + "/a"))
        var context = store.context()
        context.state = [200]
        #expect(await failureCode { try await sink.open(context) } == "file.unknown_state")
    }

    @Test func theDoctorSeesWhetherTheFolderCanBeWrittenTo() throws {
        #expect(FileDoctor.findings(try settings(folder.path + "/new/{table}")).allSatisfy { $0.level < .problem })
        try folder.put("", "plain")
        let bad = FileDoctor.findings(try settings(folder.path + "/plain/{table}"))
        #expect(bad.map(\.code) == ["file.not_a_directory"])
        #expect(bad.first?.level == .problem)
    }

    @Test func theDoctorTriesToMakeAFileInsteadOfBelievingTheRights() throws {
        // /proc has the rights of any folder, and takes no file of anybody.
        for path in ["/proc/out.jsonl", "/proc/out/{table}.jsonl", "/proc/self/{table}.jsonl"] {
            let findings = FileDoctor.findings(try settings(path))
            #expect(findings.count == 1 && findings.first?.level == .problem, "\(path)")
            #expect(findings.first?.message.contains("/proc") == true)
        }
        #expect(FileDoctor.findings(try settings(folder.path + "/{table}")).allSatisfy { $0.level < .problem })
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [], "nothing stays behind")
        #expect(FileDoctor.findings(try settings("/dev/null")).map(\.level) == [.ok])
        #expect(FileDoctor.findings(try settings("/dev")).map(\.code) == ["file.is_a_directory"])
    }
}

/// Notes from concurrent code, in order.
private final class LengthsSeen: Sendable {
    private let lists = Mutex<[[String]]>([])
    var all: [[String]] { lists.withLock { $0 } }
    func add(_ list: [String]) { lists.withLock { $0.append(list) } }
}

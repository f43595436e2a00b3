import ByteKit
import ChangeModel
import ConnectorKit
import EventLog
import Foundation
import Glibc
import Synchronization
import Testing

struct EventLogTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func anEmptyLogHasNoCheckpointAndBeginsAtZero() async throws {
        let log = try EventLog(directory: folder.log)
        let statistics = try await log.statistics()
        #expect(try await log.checkpoint() == nil)
        #expect(statistics.firstOffset == 0)
        #expect(statistics.nextOffset == 0)
        #expect(try await log.sync() == nil)
    }

    @Test func offsetsHaveNoGapsAndSurviveReopening() async throws {
        var log = try EventLog(directory: folder.log)
        #expect(try await log.appendOrders(sampleBatch(commit: 10, rows: 3)).firstOffset == 0)
        #expect(try await log.appendOrders(sampleBatch(commit: 11, rows: 1)).firstOffset == 3)
        await log.close()
        log = try EventLog(directory: folder.log)
        #expect(try await log.appendOrders(sampleBatch(commit: 12, rows: 2)).firstOffset == 4)
        #expect(try await log.statistics().nextOffset == 6)
        let reader = try log.makeReader()
        #expect(try identities(reader).map(\.commit) == [10, 10, 10, 11, 12, 12])
    }

    @Test func shapesOfTypesSurviveReopening() async throws {
        let text = PartType(type: .text, typeName: "text")
        let mood = PartType(type: .text, typeName: "mood", shape: .enumeration(["a", "b"]))
        let moods = PartType(type: .other, typeName: "mood[]", shape: .array(of: mood, delimiter: 59))
        let shapes: [TypeShape] = [
            .array(of: text, delimiter: 44), .vector(of: text), .range(of: mood), .multirange(of: text), .json,
            .composite([TypeField(name: "x", type: moods)]),
        ]
        let columns = shapes.map { Column(name: "c", type: .other, typeName: "t", shape: $0) }
        let relation = Relation(sourceID: 1, schema: "s", name: "t", columns: columns)
        let log = try EventLog(directory: folder.log)
        let version = try await log.register(relation, subject: "shop.s.t", version: 1)
        _ = try await log.append(try sampleBatch(commit: 1, relation: relation), versions: [version])
        await log.close()
        let read = try #require(try LogReader(directory: folder.log).read(from: 0))
        #expect(read.batch.relations == [relation])
    }

    @Test func whatIsReadBackHasTheBytesAndRelationsThatWereAppended() async throws {
        let log = try EventLog(directory: folder.log)
        let batch = try sampleBatch(commit: 5, rows: 4, note: String(repeating: "x", count: 30_000))
        let logged = try await log.appendOrders(batch)
        let read = try #require(try LogReader(directory: folder.log).read(from: 2))
        #expect(read.firstOffset == 0)
        #expect(read.nextOffset == 4)
        #expect(read.versions.map(\.subject) == ["shop.public.orders"])
        #expect(read.batch.relations == [orders])
        #expect(read.batch.body.count == batch.body.count)
        for index in 0..<4 {
            #expect(bytes(read.batch, index) == bytes(batch, index))
            #expect(read.batch.identity(at: index) == batch.identity(at: index))
        }
        #expect(try log.makeReader().read(from: 0)?.versions.first === logged.versions.first)
    }

    private func bytes(_ batch: ChangeBatch, _ index: Int) -> [UInt8] {
        let span = batch.tuple(batch.change(at: index).after)
        return (0..<span.byteCount).map { span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }

    @Test func theCheckpointIsCommittedWithItsBatch() async throws {
        var log = try EventLog(directory: folder.log)
        let batch = try sampleBatch(commit: 0xFFFF_FFFF_FFFF_FFF0)
        try await log.appendOrders(batch)
        #expect(try await log.checkpoint() == batch.checkpoint)
        await log.close()
        log = try EventLog(directory: folder.log)
        #expect(try await log.checkpoint() == batch.checkpoint)
    }

    @Test func aBatchWithoutChangesOnlyMovesTheCheckpoint() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(sampleBatch(commit: 3))
        let empty = try sampleBatch(commit: 9, rows: 0)
        let logged = try await log.append(empty, versions: [])
        #expect(logged.firstOffset == logged.nextOffset)
        #expect(try await log.statistics().nextOffset == 3)
        #expect(try await log.checkpoint()?.resume == ResumePosition(9))
        #expect(try await log.sync() == empty.checkpoint)
    }

    @Test func aChangeThatIsInTheLogIsNeverTakenAgain() async throws {
        let log = try EventLog(directory: folder.log)
        let batch = try sampleBatch(commit: 20, rows: 3)
        try await log.appendOrders(batch)
        #expect(await failureCode { try await log.appendOrders(batch) } == "log.out_of_order")
        #expect(
            await failureCode { try await log.appendOrders(sampleBatch(commit: 20, rows: 2, firstOrdinal: 2)) }
                == "log.out_of_order")
        #expect(await failureCode { try await log.appendOrders(sampleBatch(commit: 19)) } == "log.out_of_order")
        try await log.appendOrders(sampleBatch(commit: 20, rows: 1, firstOrdinal: 3))
        #expect(try identities(log.makeReader()).map(\.ordinal) == [0, 1, 2, 3])
        #expect(try await log.checkpoint()?.last == ChangeIdentity(commit: 20, ordinal: 3))
    }

    @Test func snapshotRowsStandBehindTheCommitThatTheyFollow() async throws {
        let log = try EventLog(directory: folder.log)
        let snapshot = ChangeIdentity.snapshotOrdinalMin
        try await log.appendOrders(sampleBatch(commit: 20))
        try await log.appendOrders(sampleBatch(commit: 20, rows: 2, firstOrdinal: snapshot))
        #expect(
            await failureCode { try await log.appendOrders(sampleBatch(commit: 20, rows: 2, firstOrdinal: snapshot)) }
                == "log.out_of_order")
        #expect(
            await failureCode { try await log.appendOrders(sampleBatch(commit: 20, rows: 1, firstOrdinal: 3)) }
                == "log.out_of_order")
        try await log.appendOrders(sampleBatch(commit: 20, rows: 2, firstOrdinal: snapshot + 2))
        try await log.appendOrders(sampleBatch(commit: 21))
        #expect(try await log.statistics().nextOffset == 10)
    }

    @Test func aBatchThatIsOutOfOrderInsideIsRefused() async throws {
        let log = try EventLog(directory: folder.log)
        var builder = ChangeBatchBuilder(capacity: 64)
        let relation = builder.index(of: orders)
        let transaction = builder.begin(TransactionInfo(commit: 1, id: 1, committedAt: 0))
        for ordinal: UInt32 in [0, 0] {
            let tuple = builder.appendTuple(columnCount: 0) { _ in }
            builder.append(
                RowChange(
                    operation: .insert, relation: relation, transaction: transaction, ordinal: ordinal, after: tuple))
        }
        let batch = try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
        #expect(await failureCode { try await log.appendOrders(batch) } == "log.out_of_order")
        #expect(try await log.statistics().nextOffset == 0)
    }

    @Test func aRelationThatWasNotRegisteredIsRefused() async throws {
        let log = try EventLog(directory: folder.log)
        let stranger = RelationVersion(id: 1, relation: orders, subject: "s", version: 1)
        #expect(
            await failureCode { _ = try await log.append(sampleBatch(commit: 1), versions: [stranger]) }
                == "log.unregistered_relation")
        #expect(
            await failureCode { _ = try await log.append(sampleBatch(commit: 1), versions: []) }
                == "log.unregistered_relation")
    }

    @Test func aRelationVersionIsOneObjectAndSurvivesReopening() async throws {
        var log = try EventLog(directory: folder.log)
        let first = try await log.register(orders, subject: "s", version: 1)
        let equal = Relation(sourceID: 7, schema: "public", name: "orders", columns: orders.columns)
        #expect(try await log.register(equal, subject: "s", version: 1) === first)
        #expect(try await log.register(equal, subject: "s", version: 2).id != first.id)
        await log.close()
        log = try EventLog(directory: folder.log)
        let again = try await log.register(equal, subject: "s", version: 1)
        #expect(again.id == first.id)
        #expect(again.relation == orders)
        #expect(try await log.statistics().relations.count == 2)
    }

    @Test func aLogBelongsToOneSource() async throws {
        var log = try EventLog(directory: folder.log)
        let source = SourceIdentity(kind: "postgres", fingerprint: ["system": "1", "slot": "a"])
        try await log.bind(to: source)
        await log.close()
        log = try EventLog(directory: folder.log)
        try await log.bind(to: source)
        let other = SourceIdentity(kind: "postgres", fingerprint: ["system": "2", "slot": "a"])
        let failure = await #expect(throws: ConnectorFailure.self) { try await log.bind(to: other) }
        #expect(failure?.code == "log.other_source")
        #expect(failure?.message.contains("system: 2, not 1") == true)
        #expect(try await log.statistics().source == source)
    }

    @Test func aSecondWriterIsToldWhoHasTheLog() async throws {
        let log = try EventLog(directory: folder.log)
        let failure = #expect(throws: ConnectorFailure.self) { _ = try EventLog(directory: folder.log) }
        #expect(failure?.code == "log.in_use")
        #expect(failure?.message.contains("pid \(getpid())") == true)
        try await log.appendOrders(sampleBatch(commit: 1))
    }

    /// Whoever asks whether somebody writes to the log has its lock for a moment.
    @Test func aLookAtTheLockAtTheMomentOfAStartDoesNotEndTheStart() throws {
        let lock = folder.log + "/lock"
        try FileManager.default.createDirectory(atPath: folder.log, withIntermediateDirectories: true)
        let looking = open(lock, O_RDONLY | O_CREAT | O_CLOEXEC, 0o600)
        #expect(looking >= 0 && flock(looking, LOCK_SH | LOCK_NB) == 0)
        startThread(name: "look") {
            let limit = ContinuousClock.now + .seconds(1)
            while descriptorCount(of: lock) < 2, ContinuousClock.now < limit { sched_yield() }
            close(looking)
        }
        _ = try EventLog(directory: folder.log)
    }

    /// How many descriptors of this process are those of a file.
    private func descriptorCount(of path: String) -> Int {
        var file = stat()
        guard stat(path, &file) == 0 else { return 0 }
        return (0..<32_768).count { descriptor in
            var info = stat()
            return fstat(Int32(descriptor), &info) == 0 && info.st_ino == file.st_ino && info.st_dev == file.st_dev
        }
    }

    @Test(arguments: ["log.sqlite", "log.sqlite-wal", ""])
    func aLogThatIsMovedAwayUnderItsWriterConfirmsNothingMore(file: String) async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(sampleBatch(commit: 1))
        #expect(try await log.sync()?.last?.commit == 1)
        let path = folder.log + (file.isEmpty ? "" : "/" + file)
        #expect(rename(path, folder.path + "/aside") == 0)
        try await log.appendOrders(sampleBatch(commit: 2))
        #expect(await failureCode { _ = try await log.sync() } == "log.replaced")
        // A copy in its place is not what the process writes to.
        try FileManager.default.copyItem(atPath: folder.path + "/aside", toPath: path)
        #expect(await failureCode { _ = try await log.sync() } == "log.replaced")
        try FileManager.default.removeItem(atPath: path)
        #expect(rename(folder.path + "/aside", path) == 0)
        #expect(try await log.sync()?.last?.commit == 2)
        await log.close()
    }

    /// A descriptor that is closed twice may be another's by then.
    @Test func aRefusedWriterClosesNothingOfOthers() async throws {
        let log = try EventLog(directory: folder.log)
        let isOver = Atomic(false)
        let directory = folder.log
        async let closedByOthers = Task.detached {
            var count = 0
            while !isOver.load(ordering: .relaxed) {
                let files = (0..<64).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }
                for file in files where close(file) != 0 { count += 1 }
            }
            return count
        }.value
        for _ in 0..<1000 { #expect(throws: ConnectorFailure.self) { _ = try EventLog(directory: directory) } }
        isOver.store(true, ordering: .relaxed)
        #expect(await closedByOthers == 0)
        await log.close()
    }

    @Test func theFolderIsForItsOwnerOnly() throws {
        let nested = folder.path + "/a/b/log"
        _ = try EventLog(directory: nested)
        var info = stat()
        #expect(stat(nested, &info) == 0)
        #expect(info.st_mode & 0o777 == 0o700)
    }

    @Test func aFileInPlaceOfTheFolderIsAnError() async throws {
        try Data().write(to: URL(fileURLWithPath: folder.log))
        #expect(throws: ConnectorFailure.self) { _ = try EventLog(directory: folder.log) }
        #expect(await failureCode { _ = try EventLog(directory: folder.log + "/x") } == "log.directory")
    }

    @Test func foreignFilesAndOtherVersionsAreLeftAlone() async throws {
        try FileManager.default.createDirectory(atPath: folder.log, withIntermediateDirectories: true)
        let text = Data(String(repeating: "no database ", count: 100).utf8)
        try text.write(to: URL(fileURLWithPath: folder.database))
        #expect(await failureCode { _ = try EventLog(directory: folder.log) } == "log.unknown_format")
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.database)) == text)

        try FileManager.default.removeItem(atPath: folder.database)
        let log = try EventLog(directory: folder.log)
        await log.close()
        // The user version of the file, a 32-bit number at byte 60 ("The Database Header" of SQLite's file format).
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: folder.database))
        try file.seek(toOffset: 60)
        try file.write(contentsOf: Data([0, 0, 0, 99]))
        try file.close()
        #expect(await failureCode { _ = try EventLog(directory: folder.log) } == "log.unknown_format")
        #expect(await failureCode { _ = try LogReader(directory: folder.log) } == "log.unknown_format")
    }

    @Test func syncReturnsWhatItCoversAndIsIdleWhenNothingIsNew() async throws {
        let log = try EventLog(directory: folder.log)
        let first = try sampleBatch(commit: 1)
        try await log.appendOrders(first)
        #expect(try await log.sync() == first.checkpoint)
        let size = try walSize()
        #expect(try await log.sync() == first.checkpoint)
        #expect(try walSize() == size)
        let second = try sampleBatch(commit: 2)
        try await log.appendOrders(second)
        #expect(try await log.sync() == second.checkpoint)
        #expect(try walSize() > size)
    }

    private func walSize() throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: folder.database + "-wal")[.size] as? Int)
    }

    @Test func aClosedLogSaysSo() async throws {
        let log = try EventLog(directory: folder.log)
        await log.close()
        #expect(await failureCode { _ = try await log.statistics() } == "log.closed")
    }
}

import ByteKit
import ChangeModel
import ConnectorKit
import Foundation
import Glibc
import GRDB
import Testing

@testable import EventLog

/// Large batches that must be durable at once have their bodies in files beside the database.
struct BodyFileTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// About 300 KB in one commit.
    private func large(_ commit: UInt64, rows: Int = 300) throws -> ChangeBatch {
        try sampleBatch(
            commit: commit, rows: rows, note: String(repeating: "L", count: 1000), mustBeDurable: true)
    }

    private func bodyFiles() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.log).filter { $0.hasPrefix("bodies-") }.sorted()
    }

    private func size(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    }

    private func url(_ file: String) -> URL { URL(fileURLWithPath: folder.log + "/" + file) }

    private func bytes(_ body: FrozenBytes) -> [UInt8] {
        (0..<body.count).map { body.load(at: $0, as: UInt8.self) }
    }

    @Test func aLargeBatchThatMustBeDurableIsReadBackFromItsFile() async throws {
        var log = try EventLog(directory: folder.log)
        let batches = try (1...4).map { try large(UInt64($0)) }
        for batch in batches { try await log.appendOrders(batch) }
        try await log.appendOrders(sampleBatch(commit: 5, rows: 2))
        #expect(try bodyFiles() == ["bodies-1"])
        let blocks = batches.reduce(0) { $0 + ($1.body.count + 4095) / 4096 }
        #expect(try size(folder.log + "/bodies-1") == blocks * 4096)
        for round in 1...2 {
            let reader = try log.makeReader()
            #expect(try identities(reader).count == 1202, "round \(round)")
            let read = try #require(try reader.read(from: 700))
            #expect(read.firstOffset == 600)
            #expect(bytes(read.batch.body) == bytes(batches[2].body))
            let statistics = try await log.statistics()
            #expect(statistics.byteCount > 1_200_000)
            #expect(statistics.fileByteCount >= statistics.byteCount)
            await log.close()
            #expect(try size(folder.database) < 200_000)
            log = try EventLog(directory: folder.log)
        }
        #expect(try await log.sync()?.last == ChangeIdentity(commit: 5, ordinal: 1))
        #expect(try bodyFiles() == ["bodies-1"], "a file that rows tell of stays")
        try await log.appendOrders(large(6))
        #expect(try bodyFiles() == ["bodies-1", "bodies-2"], "a new process begins a new file")
        #expect(try identities(log.makeReader()).count == 1502)
    }

    @Test func smallBatchesAndThoseOfTheStreamStandInTheDatabase() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(sampleBatch(commit: 1, rows: 100, mustBeDurable: true))
        try await log.appendOrders(sampleBatch(commit: 2, rows: 400, note: String(repeating: "s", count: 1000)))
        #expect(try bodyFiles() == [])
        #expect(try identities(log.makeReader()).count == 500)
    }

    @Test func aDamagedMissingOrShortFileIsDamageAndNoTrap() async throws {
        let log = try EventLog(directory: folder.log)
        let batch = try large(1)
        try await log.appendOrders(batch)
        let whole = try Data(contentsOf: url("bodies-1"))
        let reader = try log.makeReader()
        func code() async -> String? { await failureCode { _ = try reader.read(from: 3) } }
        #expect(await code() == nil)
        // Behind the body its last block is filled up, and nobody reads that.
        let end = batch.body.count
        for place in [0, 7, end / 2, end - 40, end - 1] {
            var damaged = whole
            damaged[place] ^= 0x41
            try damaged.write(to: url("bodies-1"))
            #expect(await code() == "log.damaged")
        }
        for length in [0, 1, end / 2, end - 1] {
            try whole.prefix(length).write(to: url("bodies-1"))
            #expect(await code() == "log.damaged")
        }
        try FileManager.default.removeItem(at: url("bodies-1"))
        let failure = #expect(throws: ConnectorFailure.self) { _ = try reader.read(from: 3) }
        #expect(failure?.code == "log.damaged")
        #expect(failure?.message.contains("bodies-1") == true)
        try whole.write(to: url("bodies-1"))
        #expect(await code() == nil)
    }

    @Test func wrongPlacesAreDamageAndNoTrap() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(large(1))
        await log.close()
        let database = try DatabaseQueue(path: folder.database)
        let length = try await database.read { db in try Int.fetchOne(db, sql: "SELECT body_length FROM batch") }
        let places = [
            (0, 0), (0, -1), (-1, length ?? 0), (1, length ?? 0), (.max, 10), (0, .max), (.max, .max), (0, 900_000_000),
        ]
        for (offset, length) in places {
            try await database.write { db in
                try db.execute(sql: "UPDATE batch SET body_offset = ?, body_length = ?", arguments: [offset, length])
            }
            let reader = try LogReader(directory: folder.log)
            #expect(await failureCode { _ = try reader.read(from: 0) } == "log.damaged", "\(offset) \(length)")
        }
        try database.close()
    }

    @Test func retentionRemovesFilesThatNoRowTellsOf() async throws {
        var log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        _ = try await log.createCursor(of: "slow", at: 300)
        for commit in 1...2 { try await log.appendOrders(large(UInt64(commit))) }
        await log.close()
        log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        try await log.appendOrders(large(3))
        let reader = try log.makeReader()
        let size = try await log.statistics().byteCount
        let step = try await log.retain(activeSinks: ["slow"])
        #expect(step.batchCount == 1)
        #expect(step.byteCount > 300_000)
        #expect(step.heldBy == "slow")
        #expect(try await log.statistics().byteCount <= size - 300_000)
        #expect(try bodyFiles() == ["bodies-1", "bodies-2"], "the second batch still stands in the first file")
        #expect(try reader.read(from: 300) != nil)
        #expect(try await log.retain(activeSinks: []).batchCount == 2)
        #expect(try bodyFiles() == ["bodies-2"], "the file that is being written stays")
        #expect(await failureCode { _ = try reader.read(from: 300) } == "log.retained_away")
        #expect(try await log.appendOrders(large(4)).firstOffset == 900)
        #expect(try reader.read(from: 900) != nil)
    }

    @Test func theSizeThatTheLogMayHaveCountsTheFiles() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(byteCount: 1 << 20))
        for commit in 1...12 { try await log.appendOrders(large(UInt64(commit))) }
        var step = try await log.retain(activeSinks: [])
        while step.isUnfinished { step = try await log.retain(activeSinks: []) }
        #expect(try await log.statistics().byteCount <= 1 << 20)
        #expect(try await log.statistics().byteCount > 600_000)
    }

    @Test func whatAKilledProcessLeftBehindIsRemovedBehindTheNextSync() async throws {
        var log = try EventLog(directory: folder.log)
        try await log.appendOrders(large(1))
        await log.close()
        try Data("stored, but no row came to tell of it".utf8).write(to: url("bodies-7"))
        try Data("somebody's own".utf8).write(to: url("bodies-07"))
        log = try EventLog(directory: folder.log)
        #expect(try bodyFiles() == ["bodies-07", "bodies-1", "bodies-7"], "nothing goes before it is durable")
        try await log.appendOrders(large(2))
        _ = try await log.sync()
        #expect(try bodyFiles() == ["bodies-07", "bodies-1", "bodies-8"])
        #expect(try identities(log.makeReader()).count == 600)
    }

    /// The body has room, the row has not: tried again, the row tells of the body that is there.
    @Test func anAppendThatIsTriedAgainStoresItsBodyOnce() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(large(1))
        let before = try size(folder.log + "/bodies-1")
        let pages = try await DatabaseQueue(path: folder.database).read { db in
            try Int.fetchOne(db, sql: "PRAGMA page_count")
        }
        try await log.limit(pageCount: pages ?? 0)
        let small = try sampleBatch(commit: 2, rows: 1, note: String(repeating: "x", count: 9000))
        #expect(await failureCode { try await log.appendOrders(small) } == "log.disk_full")
        // A row without a body needs no new page before the present one is full.
        var commit: UInt64 = 2
        var batch = try large(commit)
        while await failureCode({ try await log.appendOrders(batch) }) == nil {
            commit += 1
            batch = try large(commit)
            try #require(commit < 500, "the page never became full")
        }
        let stored = try size(folder.log + "/bodies-1")
        for _ in 1...3 { #expect(await failureCode { try await log.appendOrders(batch) } == "log.disk_full") }
        #expect(try size(folder.log + "/bodies-1") == stored)
        #expect(stored > before)
        try await log.limit(pageCount: 100_000)
        try await log.appendOrders(batch)
        #expect(try size(folder.log + "/bodies-1") == stored)
        #expect(try identities(log.makeReader()).last == ChangeIdentity(commit: commit, ordinal: 299))
    }

    @Test func aFileThatIsRemovedOrReplacedUnderTheWriterStopsIt() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(large(1))
        let whole = try Data(contentsOf: url("bodies-1"))
        try FileManager.default.removeItem(at: url("bodies-1"))
        #expect(await failureCode { try await log.appendOrders(large(2)) } == "log.replaced")
        try whole.write(to: url("bodies-1"))
        #expect(await failureCode { try await log.appendOrders(large(2)) } == "log.replaced")
        #expect(try await log.statistics().nextOffset == 300)
        #expect(try identities(log.makeReader()).count == 300)
    }

    @Test func aFullFileSystemIsSurvived() async throws {
        let path = folder.path + "/small"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try #require(mount("tmpfs", path, "tmpfs", 0, "size=3m") == 0, "mounting needs root")
        defer { umount2(path, Int32(MNT_DETACH)) }
        let log = try EventLog(directory: path + "/log")
        var commit: UInt64 = 1
        while await failureCode({ try await log.appendOrders(large(commit)) }) == nil { commit += 1 }
        let batch = try large(commit)
        for _ in 1...3 { #expect(await failureCode { try await log.appendOrders(batch) } == "log.disk_full") }
        #expect(try identities(log.makeReader()).count == Int(commit - 1) * 300)
        try #require(mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=64m") == 0)
        try await log.appendOrders(batch)
        await log.close()
        let again = try EventLog(directory: path + "/log")
        #expect(try identities(again.makeReader()).count == Int(commit) * 300)
    }
}

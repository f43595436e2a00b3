import ChangeModel
import ConnectorKit
import Foundation
import Glibc
import ProgramTesting
import Testing

@testable import EventLog

/// A real file system that is full to the last byte, and what the log's reserve is good for there.
@Suite(.serialized)
struct DiskReserveTests {
    private let note = String(repeating: "d", count: 20_000)
    private let reserve = 4 << 20

    /// A program that another test starts has copies of all descriptors for a moment, and with them the lock of a log
    /// that was closed.
    private func open(_ disk: SmallDisk, reserve: Int? = nil, retaining byteCount: Int = 1 << 20) throws -> EventLog {
        let limit = ContinuousClock.now + .seconds(60)
        while true {
            do throws(ConnectorFailure) {
                return try EventLog(
                    directory: disk.path + "/log",
                    retention: LogRetention(byteCount: byteCount, reserve: reserve ?? self.reserve))
            } catch {
                guard error.code == "log.in_use", ContinuousClock.now < limit else { throw error }
                sched_yield()
            }
        }
    }

    private func reserved(_ disk: SmallDisk) -> Int? { LogReserve.size(disk.path + "/log/reserve") }

    private func isSpent(_ disk: SmallDisk) -> Bool { reserved(disk).map { $0 < reserve } ?? false }

    /// Appends until the disk is full, and then takes what is left of it.
    private func fill(_ disk: SmallDisk, _ log: EventLog) async throws -> UInt64 {
        var commit: UInt64 = 1
        while let batch = Optional(try sampleBatch(commit: commit, rows: 2, note: note)) {
            let code = await failureCode { try await log.appendOrders(batch) }
            if code == "log.disk_full" { break }
            try #require(code == nil)
            commit += 1
            try #require(commit < 5000, "the disk never became full")
        }
        try takeTheRest(disk)
        return commit
    }

    private func takeTheRest(_ disk: SmallDisk) throws {
        let file = Glibc.open(disk.path + "/filler", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        let piece = [UInt8](repeating: 1, count: 4096)
        while write(file, piece, piece.count) > 0 {}
        try #require(errno == ENOSPC)
        #expect(LogDisk.freeByteCount(disk.path) == 0)
    }

    /// Copies of events that the sink slow could not deliver.
    private func letters(_ log: EventLog, _ count: Int) async throws -> [DeadLetter] {
        let version = try await log.register(orders, subject: "shop.public.orders", version: 1)
        return try (0..<count).map { _ in
            DeadLetter(
                subject: "@slow", code: "test.refused", message: "refused",
                batch: try sampleBatch(
                    commit: 1, rows: 1, note: note), versions: [version])
        }
    }

    /// Sets events aside until there is no room for more; how many that were.
    private func fillWithLetters(_ disk: SmallDisk, _ log: EventLog) async throws -> Int {
        var count = 0
        let batch = try await letters(log, 8)
        while count < 5000 {
            do throws(ConnectorFailure) {
                try await log.setAside(batch, for: "slow", movingCursorTo: 0, state: nil)
            } catch {
                guard error.code == "log.disk_full" else { throw error }
                #expect(error.hint?.contains("millrace deadletters discard @slow") == true)
                return count
            }
            count += batch.count
            try takeTheRest(disk)
        }
        return count
    }

    private func letGo(_ disk: SmallDisk) throws { try FileManager.default.removeItem(atPath: disk.path + "/filler") }

    @Test func onAFullDiskCursorsMoveAndWhatRetentionRemovesIsRoomForMore() async throws {
        let disk = try SmallDisk(bytes: 26 << 20)
        try Data(count: 10 << 20).write(to: URL(fileURLWithPath: disk.path + "/filler"))
        let log = try open(disk)
        #expect(reserved(disk) == reserve)
        _ = try await log.createCursor(of: "slow", at: 0)
        var commit = try await fill(disk, log)
        let end = try await log.statistics().nextOffset
        #expect(end == (commit - 1) * 2)
        // Each takes two pages of the write-ahead log at least: together many times the reserve.
        let state = [UInt8](repeating: 7, count: 9000)
        for move in 1...1500 {
            try await log.moveCursor(of: "slow", to: end * UInt64(move) / 1500, state: state)
            guard move % 100 == 1 else { continue }
            // What is given back is not for events, nor for anybody else who wants room.
            #expect(await failureCode { try await log.appendOrders(sampleBatch(commit: commit)) } == "log.disk_full")
            try takeTheRest(disk)
        }
        #expect(isSpent(disk))
        #expect(try await log.statistics().disk.isFull(reserve: reserve))
        while try await log.retain(activeSinks: ["slow"]).isUnfinished {}
        // The disk is as full as before, and the log goes on within what it has, for as long as it is emptied.
        for _ in 1...300 {
            try await log.appendOrders(sampleBatch(commit: commit, rows: 2, note: note))
            try takeTheRest(disk)
            commit += 1
            let next = (commit - 1) * 2
            try await log.moveCursor(of: "slow", to: next, state: state)
            _ = try await log.retain(activeSinks: ["slow"])
        }
        #expect(isSpent(disk))
        let first = try await log.statistics().firstOffset
        let left = try identities(log.makeReader(), from: first)
        #expect(first > end)
        #expect(left.count == Int((commit - 1) * 2 - first))
        #expect(left.last == ChangeIdentity(commit: commit - 1, ordinal: 1))
        try letGo(disk)
        #expect(isSpent(disk))
        _ = try await log.retain(activeSinks: ["slow"])
        #expect(reserved(disk) == reserve)
        #expect(await log.isReserveSpent == false)
    }

    @Test(arguments: [false, true])
    func deadLettersOfASinkLeaveRoomForCursorsAndRetentionAndForTheirDiscard(afterAStart: Bool) async throws {
        let disk = try SmallDisk(bytes: 26 << 20)
        try Data(count: 4 << 20).write(to: URL(fileURLWithPath: disk.path + "/ballast"))
        var log = try open(disk, retaining: 64 << 20)
        _ = try await log.createCursor(of: "slow", at: 0)
        let commit = try await fill(disk, log)
        let end = try await log.statistics().nextOffset
        let count = try await fillWithLetters(disk, log)
        #expect(count > 0)
        let left = try #require(reserved(disk))
        #expect(left >= reserve / 8)
        for _ in 1...50 {
            let more = try await letters(log, 8)
            let code = await failureCode {
                try await log.setAside(more, for: "slow", movingCursorTo: 0, state: nil)
            }
            #expect(code == "log.disk_full")
        }
        #expect(reserved(disk) == left)
        if afterAStart {
            await log.close()
            try takeTheRest(disk)
            log = try open(disk)
        }
        // What a sink stores again and again while it waits, and what makes room.
        for _ in 1...200 {
            try await log.moveCursor(of: "slow", to: end / 2, state: [UInt8](repeating: 7, count: 9000))
            try takeTheRest(disk)
        }
        #expect(await failureCode { try await log.appendOrders(sampleBatch(commit: commit)) } == "log.disk_full")
        var discarded = 0
        while true {
            let step = try await log.discardDeadLetters(of: "@slow", through: .max)
            try takeTheRest(disk)
            discarded += step.changeCount
            if !step.isUnfinished { break }
        }
        #expect(discarded == count)
        // What they took is room for more of them, and for what is captured.
        let more = try await letters(log, 8)
        try await log.setAside(more, for: "slow", movingCursorTo: end, state: nil)
        try takeTheRest(disk)
        while try await log.retain(activeSinks: ["slow"]).isUnfinished {}
        try await log.appendOrders(sampleBatch(commit: commit, rows: 2, note: note))
        let first = try await log.statistics().firstOffset
        #expect(afterAStart == (first > 0))
        #expect(try identities(log.makeReader(), from: first).last?.commit == commit)
    }

    @Test func aRequestAndItsAnswerHaveRoomOnAFullDisk() async throws {
        let disk = try SmallDisk(bytes: 26 << 20)
        let log = try open(disk)
        try takeTheRest(disk)
        let box = RequestBox(logDirectory: disk.path + "/log")
        func ask() throws {
            let request = OperatorRequest(.replay(sink: "slow", offset: 0, skipping: false))
            try box.post(request)
            #expect(try box.pending() == [request])
            try takeTheRest(disk)
            try box.answer(request.id, RequestOutcome(isDone: true, text: "done"))
            #expect(box.takeAnswer(to: request.id)?.isDone == true)
        }
        for _ in 1...3 {
            try ask()
            try takeTheRest(disk)
        }
        #expect(isSpent(disk))
        // Cursors and the like leave some of it.
        await log.close()
        var rest = LogReserve(LogDirectory(disk.path + "/log"), byteCount: reserve)
        while rest.giveBack(1 << 20) {}
        try takeTheRest(disk)
        try ask()
        #expect(try LogReader(directory: disk.path + "/log").statistics().disk.isReserveUsedUp(of: reserve))
    }

    @Test func aLogOnAFullDiskIsOpenedAndSyncedAndItsCursorsAreStored() async throws {
        let disk = try SmallDisk(bytes: 16 << 20)
        var log = try open(disk)
        _ = try await log.createCursor(of: "slow", at: 0)
        _ = try await fill(disk, log)
        let end = try await log.statistics().nextOffset
        for turn in 1...3 {
            await log.close()
            try takeTheRest(disk)
            log = try open(disk)
            _ = try await log.sync()
            try await log.moveCursor(of: "slow", to: end * UInt64(turn) / 3)
        }
        #expect(isSpent(disk))
        #expect(try identities(log.makeReader()).count == Int(end))
        #expect(try await log.cursor(of: "slow")?.offset == end)
    }

    /// As where the reserve never had room: nothing can be stored, and yet what is there can be delivered.
    @Test func aLogWithoutRoomAndWithoutAReserveIsSynced() async throws {
        let disk = try SmallDisk(bytes: 6 << 20)
        let log = try open(disk)
        #expect(reserved(disk) == nil)
        let commit = try await fill(disk, log)
        while await failureCode({ _ = try await log.createCursor(of: UUID().uuidString, at: 0) }) == nil {}
        #expect(try await log.sync() == sampleBatch(commit: commit - 1, rows: 2).checkpoint)
        #expect(try await log.statistics().disk.isFull(reserve: reserve))
    }

    @Test func aReserveIsMadeWhenTwiceItsSizeIsFreeAndFollowsTheSetting() async throws {
        let disk = try SmallDisk(bytes: 16 << 20)
        let log = try open(disk, reserve: 9 << 20)
        #expect(reserved(disk) == nil)
        await log.close()
        for size in [4, 2, 3, 0] {
            let log = try open(disk, reserve: size << 20)
            #expect(reserved(disk) == (size == 0 ? nil : size << 20))
            let blocks = LogDisk.freeByteCount(disk.path) ?? 0
            #expect(blocks <= (16 - size) << 20 && blocks >= (15 - size) << 20)
            await log.close()
        }
    }

    @Test func aFileOfBodiesThatNobodyNeedsGoesAlthoughItIsStillWrittenTo() async throws {
        let disk = try SmallDisk(bytes: 24 << 20)
        let log = try open(disk)
        _ = try await log.createCursor(of: "slow", at: 0)
        var commit: UInt64 = 1
        func bulk() throws -> ChangeBatch {
            try sampleBatch(commit: commit, rows: 30, note: note, mustBeDurable: true)
        }
        while await failureCode({ try await log.appendOrders(bulk()) }) == nil { commit += 1 }
        try takeTheRest(disk)
        let end = try await log.statistics().nextOffset
        while !isSpent(disk) {
            try await log.moveCursor(of: "slow", to: end, state: [UInt8](repeating: 1, count: 9000))
        }
        while try await log.retain(activeSinks: ["slow"]).isUnfinished {}
        try await log.appendOrders(bulk())
        let first = try await log.statistics().firstOffset
        #expect(try identities(log.makeReader(), from: first).last?.commit == commit)
    }
}

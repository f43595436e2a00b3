import ChangeModel
import ConnectorKit
import EventLog
import Foundation
import GRDB
import Testing

struct DeadLetterTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private let lines = Relation(
        sourceID: 8, schema: "public", name: "lines",
        columns: [Column(name: "id", type: .int64, typeName: "bigint", typeID: 20, keyPosition: 0, isNullable: false)])

    /// Appends `kept` orders and sets `aside` lines of one commit behind them aside.
    private func append(_ log: EventLog, commit: UInt64, kept: Int, aside: Int, note: String = "n") async throws {
        let order = try await log.register(orders, subject: "shop.public.orders", version: 1)
        let line = try await log.register(lines, subject: "shop.public.lines", version: 0)
        let batch = try sampleBatch(commit: commit, rows: kept)
        let rest = try sampleBatch(
            commit: commit, rows: aside, firstOrdinal: UInt32(kept), note: note, relation: lines)
        let letter = DeadLetter(
            subject: "shop.public.lines", code: "schema.changed", message: "test", batch: rest, versions: [line])
        _ = try await log.append(batch, versions: [order], settingAside: [letter])
    }

    private func release(_ log: EventLog) async throws -> LoggedBatch? {
        guard let head = try await log.firstDeadLetter(of: "shop.public.lines") else { return nil }
        let version = try await log.register(lines, subject: "shop.public.lines", version: 2)
        return try await log.release(head.id, versions: head.relations.map { _ in version })
    }

    @Test func changesSetAsideAreReleasedOnceUnderTheirOwnIdentities() async throws {
        let log = try EventLog(directory: folder.log)
        for commit in 1...3 { try await append(log, commit: UInt64(commit), kept: 2, aside: 1) }
        #expect(try await log.statistics().nextOffset == 6)
        let group = try #require(try await log.statistics().deadLetters.first)
        #expect(group.changeCount == 3 && group.subject == "shop.public.lines" && group.code == "schema.changed")
        #expect(group.byteCount > 0 && group.since != nil)
        var released: [ChangeIdentity] = []
        while let logged = try await release(log) {
            #expect(logged.firstOffset == 6 + UInt64(released.count))
            #expect(logged.versions.map(\.version) == [2])
            released += (0..<logged.batch.changeCount).map { logged.batch.identity(at: $0) }
        }
        #expect(released == (1...3).map { ChangeIdentity(commit: $0, ordinal: 2) })
        #expect(try identities(log.makeReader()).suffix(3) == released[...])
        let counts = try #require(try await log.statistics().deadLetters.first)
        #expect(counts.changeCount == 0 && counts.releasedCount == 3 && counts.discardedCount == 0)
        #expect(counts.since == nil && counts.byteCount == 0)
        // What comes next is still after everything that was ever taken.
        #expect(try await log.checkpoint()?.last?.commit == 3)
        try await append(log, commit: 4, kept: 1, aside: 0 + 1)
        #expect(try await log.statistics().nextOffset == 10)
    }

    @Test func aChangeThatWasSetAsideIsNotTakenAgain() async throws {
        let log = try EventLog(directory: folder.log)
        try await append(log, commit: 1, kept: 1, aside: 2)
        let again = try sampleBatch(commit: 1, rows: 1, firstOrdinal: 2)
        #expect(await failureCode { try await log.appendOrders(again) } == "log.out_of_order")
        #expect(await failureCode { try await append(log, commit: 1, kept: 1, aside: 2) } == "log.out_of_order")
        #expect(try await log.statistics().deadLetters.first?.changeCount == 2)
    }

    @Test func aWholeBatchMaySetAside() async throws {
        let log = try EventLog(directory: folder.log)
        try await append(log, commit: 5, kept: 0, aside: 3)
        #expect(try await log.statistics().nextOffset == 0)
        #expect(try await log.checkpoint()?.resume == ResumePosition(5))
        #expect(try await release(log)?.batch.changeCount == 3)
        #expect(try await log.statistics().nextOffset == 3)
    }

    @Test func nothingIsReleasedWithoutAContract() async throws {
        let log = try EventLog(directory: folder.log)
        try await append(log, commit: 1, kept: 1, aside: 1)
        let head = try #require(try await log.firstDeadLetter(of: "shop.public.lines"))
        let code = await failureCode { _ = try await log.release(head.id, versions: head.relations) }
        #expect(code == "log.unregistered_relation")
        #expect(await failureCode { _ = try await log.release(99, versions: []) } == "log.no_dead_letter")
        #expect(try await log.statistics().deadLetters.first?.changeCount == 1)
    }

    @Test func retentionNeverRemovesWhatWasSetAside() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        for commit in 1...3 { try await append(log, commit: UInt64(commit), kept: 2, aside: 1) }
        #expect(try await log.retain(activeSinks: []).changeCount == 6)
        #expect(try await log.statistics().deadLetters.first?.changeCount == 3)
        #expect(try await release(log)?.firstOffset == 6)
        #expect(try identities(log.makeReader(), from: 6).count == 1)
    }

    @Test func discardingTakesWhatWasSeenAndNoMore() async throws {
        let log = try EventLog(directory: folder.log)
        for commit in 1...2 { try await append(log, commit: UInt64(commit), kept: 1, aside: 2) }
        let seen = try #require(try log.makeReader().newestDeadLetter(of: "shop.public.lines"))
        try await append(log, commit: 3, kept: 1, aside: 2)
        for _ in 0..<2 { _ = try await log.discardDeadLetters(of: "shop.public.lines", through: seen) }
        let group = try #require(try await log.statistics().deadLetters.first)
        #expect(group.changeCount == 2 && group.discardedCount == 4)
        await log.close()
        let reopened = try EventLog(directory: folder.log)
        #expect(try await release(reopened)?.batch.identity(at: 0) == ChangeIdentity(commit: 3, ordinal: 1))
    }

    @Test func deadLettersAloneMayNotFillTheLog() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(byteCount: 100_000))
        let note = String(repeating: "x", count: 60_000)
        try await append(log, commit: 1, kept: 1, aside: 1, note: note)
        let code = await failureCode { try await append(log, commit: 2, kept: 1, aside: 1, note: note) }
        #expect(code == "log.deadletters_full")
        #expect(try await log.statistics().nextOffset == 1)
        let last = try #require(try log.makeReader().newestDeadLetter(of: "shop.public.lines"))
        _ = try await log.discardDeadLetters(of: "shop.public.lines", through: last)
        try await append(log, commit: 2, kept: 1, aside: 1, note: note)
        #expect(try await log.statistics().nextOffset == 2)
    }

    @Test func aLogOfTheFirstFormatIsReadAsItIsAndUpgradedByTheWriter() async throws {
        let old = try EventLog(directory: folder.log)
        for commit in 1...3 { try await old.appendOrders(sampleBatch(commit: UInt64(commit))) }
        let checkpoint = try await old.checkpoint()
        await old.close()
        // The first format is the present one without what was added.
        let database = try DatabaseQueue(path: folder.database)
        try await database.writeWithoutTransaction { db in
            try db.execute(
                sql: """
                    DROP TABLE dead_letter; DROP TABLE dead_letter_count; DROP INDEX batch_body_file;
                    DROP TABLE subscription; DROP TABLE subscription_event;
                    ALTER TABLE batch DROP COLUMN body_file; ALTER TABLE batch DROP COLUMN body_offset;
                    ALTER TABLE batch DROP COLUMN body_length;
                    ALTER TABLE sink DROP COLUMN events_per_second; ALTER TABLE sink DROP COLUMN retry_at;
                    PRAGMA user_version = 1
                    """)
        }
        try database.close()
        let reader = try LogReader(directory: folder.log)
        #expect(try identities(reader).count == 9)
        #expect(try reader.statistics().deadLetters == [])
        #expect(try reader.newestDeadLetter(of: "shop.public.lines") == nil)
        let log = try EventLog(directory: folder.log)
        #expect(try await log.checkpoint() == checkpoint)
        #expect(try identities(log.makeReader()).count == 9)
        try await append(log, commit: 4, kept: 1, aside: 1)
        #expect(try reader.statistics().deadLetters.map(\.changeCount) == [1])
        await log.close()
        #expect(try await EventLog(directory: folder.log).statistics().nextOffset == 10)
    }
}

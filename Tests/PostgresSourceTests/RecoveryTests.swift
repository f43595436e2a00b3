import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// `run --recover snapshot`: goes on after a loss, when asked to, once, and says what is gone.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RecoveryTests {
    private let database: TestDatabase

    init() throws {
        database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    }

    private func reader(recovers: Bool, after checkpoint: SourceCheckpoint? = nil) throws -> SourceReader {
        let reader = try SourceReader(database, tables: ["public.*"], publication: "p", recovers: recovers) {
            $0.watchInterval = .milliseconds(50)
        }
        reader.checkpoint = checkpoint
        return reader
    }

    /// A source that was read, acknowledged and closed; its checkpoint.
    private func earlierRun() async throws -> SourceCheckpoint {
        let reader = try reader(recovers: false)
        try await reader.open()
        try database.run("INSERT INTO a VALUES (1)")
        try await reader.catchUp()
        reader.acknowledge()
        await reader.source.close()
        return try #require(reader.checkpoint)
    }

    /// What a consumer that had `rows` has of a table after these lines.
    private func folded(_ lines: [String], _ table: String, from rows: Set<String>) -> Set<String> {
        var rows = rows
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 1, words[1] == "public.\(table)" else { continue }
            switch words[0] {
            case "truncate": rows = []
            case "insert", "snapshot": rows.insert(words[2])
            case "delete": rows.remove(words[2])
            default: break
            }
        }
        return rows
    }

    private func refusal(_ reader: SourceReader) async -> String? {
        do {
            try await reader.open()
            return nil
        } catch {
            await reader.source.close()
            return (error as? ConnectorFailure)?.code
        }
    }

    private func isReleased() async throws -> Bool {
        try await database.waits(
            for: "(SELECT NOT active FROM pg_replication_slots WHERE slot_name = '\(database.name)')")
    }

    @Test(arguments: ["missing", "ahead", "publication"])
    func aLossIsRefusedAndOvercomeOnRequest(loss: String) async throws {
        let checkpoint = try await earlierRun()
        #expect(try await isReleased())
        try database.run("INSERT INTO a VALUES (2), (4); DELETE FROM a WHERE id IN (1, 4)")
        let code: String
        switch loss {
        case "missing":
            try database.run("SELECT pg_drop_replication_slot('\(database.name)')")
            code = "postgres.slot_missing"
        case "ahead":
            try database.run("SELECT pg_replication_slot_advance('\(database.name)', pg_current_wal_flush_lsn())")
            code = "postgres.slot_ahead"
        default:
            try database.run("DROP PUBLICATION p")
            code = "postgres.publication_missing"
        }
        #expect(await refusal(try reader(recovers: false, after: checkpoint)) == code)
        let recovering = try reader(recovers: true, after: checkpoint)
        try await recovering.open()
        #expect(recovering.notices.all.contains { $0.hasPrefix("recovering from [\(code)]") })
        #expect(recovering.notices.all.contains { $0.hasPrefix("GAP:") })
        try database.run("INSERT INTO a VALUES (3)")
        try await recovering.finishSnapshot()
        // What was lost is known again: a row that came, one that went, and one that did both.
        #expect(folded(recovering.lines(), "a", from: ["1"]) == ["2", "3"])
        #expect(try #require(recovering.checkpoint).resume > checkpoint.resume)
        // Once it is durable the leave is used up: the next loss of the same process is refused.
        recovering.acknowledge()
        await recovering.source.close()
        #expect(try await isReleased())
        try database.run("SELECT pg_drop_replication_slot('\(database.name)')")
        #expect(await refusal(recovering) == "postgres.slot_missing")
    }

    @Test func anUnpublishedTableIsPublishedAgainAndTheSlotStays() async throws {
        let checkpoint = try await earlierRun()
        try database.run("ALTER PUBLICATION p DROP TABLE b; INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)")
        let recovering = try reader(recovers: true, after: checkpoint)
        try await recovering.open()
        #expect(recovering.notices.all.contains { $0.contains("ADD TABLE \"public\".\"b\";") })
        #expect(!recovering.notices.all.contains { $0.hasPrefix("GAP:") })
        try database.run("INSERT INTO b VALUES (3)")
        try await recovering.finishSnapshot()
        let lines = recovering.lines()
        #expect(lines.filter { $0.contains("public.a") } == ["insert public.a 2"], "nothing of it was lost")
        #expect(folded(lines, "b", from: []) == ["2", "3"])
        #expect(lines.contains("truncate public.b "))
        await recovering.source.close()
        #expect(await refusal(recovering) == nil)
        await recovering.source.close()
    }

    @Test func operationsThatWereLeftOutArePublishedAgain() async throws {
        let checkpoint = try await earlierRun()
        try database.run("ALTER PUBLICATION p SET (publish = 'insert')")
        #expect(await refusal(try reader(recovers: false, after: checkpoint)) == "postgres.publication_reduced")
        let recovering = try reader(recovers: true, after: checkpoint)
        try await recovering.open()
        try await recovering.finishSnapshot()
        #expect(folded(recovering.lines(), "a", from: ["7"]) == ["1"])
        try database.run("DELETE FROM a")
        try await recovering.catchUp()
        #expect(recovering.lines() == ["delete public.a 1 -> "])
        await recovering.source.close()
    }

    /// What is done to the publication before something changes, and after it, so that it looks as before again.
    static let alterations = [
        "reduced": (
            "ALTER PUBLICATION p SET (publish = 'insert')",
            "ALTER PUBLICATION p SET (publish = 'insert, update, delete, truncate')"
        ),
        "parts": (
            "ALTER PUBLICATION p SET (publish_via_partition_root = false)",
            "ALTER PUBLICATION p SET (publish_via_partition_root = true)"
        ),
        "renamed": ("ALTER PUBLICATION p RENAME TO q", "ALTER PUBLICATION q RENAME TO p"),
        "made anew": (
            "DROP PUBLICATION p",
            "CREATE PUBLICATION p FOR TABLE a, b WITH (publish_via_partition_root = true)"
        ),
    ]

    @Test(arguments: Self.alterations.keys.sorted())
    func aPublicationThatWasAlteredAndSetBackLosesNothingSilentlyAndIsOvercome(how: String) async throws {
        let (before, after) = try #require(Self.alterations[how])
        let checkpoint = try await earlierRun()
        #expect(try await isReleased())
        try database.run(before)
        try database.run("INSERT INTO a VALUES (2), (4); DELETE FROM a WHERE id IN (1, 4)")
        try database.run(after)
        let reader = try reader(recovers: false, after: checkpoint)
        #expect(await refusal(reader) == "postgres.publication_altered")
        let recovering = try self.reader(recovers: true, after: checkpoint)
        try await recovering.open()
        #expect(recovering.notices.all.contains { $0.hasPrefix("recovering from [postgres.publication_altered]") })
        #expect(recovering.notices.all.contains { $0.hasPrefix("GAP:") })
        try database.run("INSERT INTO a VALUES (3)")
        try await recovering.finishSnapshot()
        #expect(folded(recovering.lines(), "a", from: ["1"]) == ["2", "3"])
        recovering.acknowledge()
        await recovering.source.close()
        #expect(try await isReleased())
        #expect(await refusal(try self.reader(recovers: false, after: recovering.checkpoint)) == nil)
    }

    /// Notes of earlier versions do not know the publication's row.
    @Test(.enabled(if: TestServer.version < 180_000, "later servers pass such changes over"))
    func changesThatNoPublicationDecodesAreOvercomeByRecoverySnapshot() async throws {
        var checkpoint = try await earlierRun()
        #expect(try await isReleased())
        try database.run("ALTER PUBLICATION p RENAME TO q")
        try database.run("INSERT INTO a VALUES (2); DELETE FROM a WHERE id = 1")
        try database.run("ALTER PUBLICATION q RENAME TO p")
        var notes = try SourceNotes(decoding: checkpoint.notes)
        notes.publication?.row = nil
        checkpoint.notes = notes.encoded
        for _ in 0..<2 {
            let reader = try reader(recovers: false, after: checkpoint)
            let failure = await #expect(throws: ConnectorFailure.self) {
                try await reader.open()
                try await reader.catchUp()
            }
            #expect(failure?.code == "postgres.object_missing")
            #expect(failure?.hint?.contains("millrace run --recover snapshot") == true)
            await reader.source.close()
            #expect(try await isReleased())
            checkpoint = try #require(reader.checkpoint)
        }
        let recovering = try reader(recovers: true, after: checkpoint)
        try await recovering.open()
        try await recovering.finishSnapshot()
        #expect(folded(recovering.lines(), "a", from: ["1"]) == ["2"])
        let remembered = try SourceNotes(decoding: try #require(recovering.checkpoint).notes)
        #expect(remembered.publication?.row != nil)
        await recovering.source.close()
    }

    @Test func aWholeSourceIsLeftAsItIs() async throws {
        let checkpoint = try await earlierRun()
        try database.run("INSERT INTO a VALUES (2)")
        let recovering = try reader(recovers: true, after: checkpoint)
        try await recovering.open()
        #expect(recovering.notices.all == ["nothing is lost: there was nothing to recover"])
        try await recovering.catchUp()
        #expect(recovering.lines() == ["insert public.a 2"])
        await recovering.source.close()
    }

    @Test func aServerThatWasSetBackAndASlotInUseAreNotRecovered() async throws {
        let checkpoint = try await earlierRun()
        let ahead = SourceCheckpoint(last: nil, resume: ResumePosition(1 << 60), notes: checkpoint.notes)
        #expect(await refusal(try reader(recovers: true, after: ahead)) == "postgres.server_behind")
        let holder = try reader(recovers: false, after: checkpoint)
        try await holder.open()
        #expect(await refusal(try reader(recovers: true, after: checkpoint)) == "postgres.slot_active")
        #expect(try database.value("SELECT count(*) FROM pg_replication_slots WHERE active") != "0")
        await holder.source.close()
    }

    @Test func leaveIsUsedUpByWhatIsDurableAndNotBefore() {
        let checkpoint = SourceCheckpoint(last: nil, resume: ResumePosition(10))
        var leave = RecoveryLeave(isGiven: true)
        leave.opened(after: checkpoint, didRecover: true)
        leave.acknowledged(ResumePosition(10))
        #expect(leave.isGiven, "the notes of the recovery may be lost with the process")
        leave.acknowledged(ResumePosition(11))
        #expect(!leave.isGiven)
        var unused = RecoveryLeave(isGiven: true)
        unused.opened(after: checkpoint, didRecover: false)
        #expect(!unused.isGiven)
        #expect(!RecoveryLeave(isGiven: false).isGiven)
    }
}

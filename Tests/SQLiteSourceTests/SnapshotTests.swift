import ChangeModel
import ConnectorKit
import ConnectorTesting
import Testing

@testable import SQLiteSource

@Suite struct SnapshotTests {
    private static let filling = """
        WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 3000)
        INSERT INTO t SELECT i, 'row ' || i, randomblob(1500) FROM s
        """

    private func filled() throws -> SourceDatabase {
        try SourceDatabase(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, body)", Self.filling,
            "CREATE TABLE u(a, b INT, v, PRIMARY KEY(a, b))",
            "INSERT INTO u VALUES(1, 1, 'x'), (1, 2, 'y'), (NULL, 1, 'n1'), (NULL, 1, 'n2'), ('k', NULL, 'n3')")
    }

    @Test func rowsThatWereThereComeOnceInChunksThatMustBeDurable() throws {
        let database = try filled()
        let session = try database.open(snapshot: true)
        let end = try session.endPosition()
        let batches = try session.drain()
        #expect(batches.count > 1)
        #expect(batches.allSatisfy { $0.mustBeDurableBeforeDelivery && $0.changeCount > 0 })
        let events = try batches.flatMap { try changes(of: $0) }
        #expect(events.allSatisfy { $0.operation == .snapshot && $0.before == nil })
        var fold = StrictFold()
        for event in events { fold.apply(event) }
        for table in ["t", "u"] { #expect(try fold.rows(table) == database.rows(table)) }
        expectRisingIdentities(events)
        #expect(try batches.dropLast().allSatisfy { try #require($0.checkpoint).resume < end })
        #expect(try #require(batches.last?.checkpoint).resume >= end)
    }

    @Test func endPositionWithoutASnapshotIsReachedByReadingTheLog() throws {
        let database = try filled()
        let session = try database.open()
        try database.run("UPDATE t SET name = name || '!' WHERE id < 10")
        let end = try session.endPosition()
        let last = try #require(try session.drain().last?.checkpoint)
        #expect(last.resume >= end)
    }

    @Test func aRequestedSnapshotReadsTheRowsAgainAndIsRememberedByTheCheckpoint() throws {
        let database = try filled()
        let session = try database.open(snapshot: true)
        _ = try session.drain()
        let request = SnapshotRequest(id: "r1", tables: [TablePattern("main.u")])
        try session.takeSnapshot(request)
        #expect(
            try #require(SourceProgress(session.emptyBatch().checkpoint ?? .init(last: nil, resume: .init(0))))
                .requests == ["r1"])
        let end = try session.endPosition()
        let batches = try session.drain()
        let events = try batches.flatMap { try changes(of: $0) }
        #expect(events.count == 5)
        #expect(events.allSatisfy { $0.operation == .snapshot && $0.table == "u" })
        #expect(try #require(batches.last?.checkpoint).resume >= end)
        try session.takeSnapshot(request)
        #expect(try session.drain().isEmpty)
    }

    @Test func aSnapshotOfTablesThatAreNotCapturedIsRefused() throws {
        let session = try filled().open(snapshot: true)
        let error = #expect(throws: SQLiteError.self) {
            try session.takeSnapshot(SnapshotRequest(id: "r1", tables: [TablePattern("main.nothing")]))
        }
        #expect(error?.refusal?.code == "sqlite.not_captured")
    }

    @Test func settingNeverTakesChangesOnly() throws {
        let database = try filled()
        let session = try database.open(snapshot: false)
        try database.run("DELETE FROM t WHERE id = 1")
        #expect(try session.drainEvents().map(\.operation) == [.delete])
    }

    /// A process that dies after any batch, and goes on from any older checkpoint, gives the same state and never an
    /// identity for two different events.
    @Test(arguments: ["wal", "delete"])
    func stateIsRightWhenTheProcessDiesAtEachBatchWhileRowsChange(journal: String) throws {
        let database = try SourceDatabase(
            journal: journal, "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, body)", Self.filling,
            "CREATE TABLE u(a, b INT, v, PRIMARY KEY(a, b)) WITHOUT ROWID",
            "INSERT INTO u VALUES(1, 1, 'x'), (1, 2, 'y')")
        var random = SeededGenerator(seed: 11)
        var log: [ChangeBatch] = []
        var seen: [ChangeIdentity: Event] = [:]
        var finished = false
        var rounds = 0
        while !finished && rounds < 60 {
            rounds += 1
            let session = try database.open(snapshot: true, after: log.last?.checkpoint)
            if rounds % 7 == 0 { _ = try session.poll() }  // taken, but lost before the log had it
            let survivor = rounds % 7 == 0 ? try database.open(snapshot: true, after: log.last?.checkpoint) : session
            if let batch = try survivor.poll() { log.append(batch) }
            if rounds < 25 && rounds % 3 == 0 { try writeSomething(database, &random) }
            guard rounds > 30 else { continue }
            let rest = try survivor.drain()
            log += rest
            finished = rest.isEmpty && survivor.progress.current == nil && survivor.progress.round > 0
        }
        #expect(finished)
        var fold = KeyFold()
        for event in try log.flatMap({ try changes(of: $0) }) {
            #expect(seen[event.identity] == nil)
            seen[event.identity] = event
            fold.apply(event)
        }
        for table in ["t", "u"] { #expect(try fold.rows(table) == database.rows(table)) }
        expectRisingIdentities(try log.flatMap { try changes(of: $0) })
    }

    private func writeSomething(_ database: SourceDatabase, _ random: inout SeededGenerator) throws {
        for _ in 0..<20 {
            let (id, other) = (Int.random(in: 1...3300, using: &random), Int.random(in: 1...3300, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: try database.run("DELETE FROM t WHERE id = \(id)")
            case 1: try database.run("UPDATE OR REPLACE t SET id = \(other) WHERE id = \(id)")
            case 2: try database.run("INSERT OR REPLACE INTO t VALUES(\(id), 'row \(other)', NULL)")
            case 3: try database.run("UPDATE t SET body = \(other) WHERE id BETWEEN \(id) AND \(id + 5)")
            case 4: try database.run("INSERT OR IGNORE INTO u VALUES(\(id % 9), \(other % 9), \(id))")
            default: try database.run("UPDATE OR IGNORE u SET b = \(other % 9) WHERE a = \(id % 9)")
            }
        }
    }

    @Test func noRowGoesBackInTimeWhenTheLogIsLongerThanABatch() throws {
        let database = try filled()
        try database.run("UPDATE t SET name = 0 || '-' || id")
        let session = try database.open(["t"], snapshot: true)
        var batches = [try #require(try session.poll())]
        for version in 1...3 { try database.run("UPDATE t SET name = \(version) || '-' || id") }
        batches += try session.drain()
        var newest: [SQLiteValue: String] = [:]
        var snapshotRows = 0
        for event in try batches.flatMap({ try changes(of: $0) }) {
            let row = try #require(event.after)
            guard case .text(let name) = row[1] else { throw NotText() }
            let text = String(decoding: name, as: UTF8.self)
            #expect(newest[row[0]].map { $0 <= text } ?? true, "row went back")
            newest[row[0]] = text
            if event.operation == .snapshot { snapshotRows += 1 }
        }
        #expect(snapshotRows == 3000 && newest.values.allSatisfy { $0.hasPrefix("3-") })
    }

    private struct NotText: Error {}

    @Test func identitiesAreTheSameWhenAChunkIsReadAgain() throws {
        let database = try filled()
        let first = try changes(of: try #require(try database.open(snapshot: true).poll()))
        let again = try changes(of: try #require(try database.open(snapshot: true).poll()))
        #expect(first.map(\.identity) == again.map(\.identity))
        #expect(
            first
                == again.map { event in
                    var event = event
                    event.committedAt = first[0].committedAt
                    return event
                })
    }

    @Test func tableAddedToTheSettingIsReadByItself() throws {
        let database = try filled()
        let one = try database.open(["t"], snapshot: true)
        let checkpoint = try #require(try one.drain().last?.checkpoint)
        try database.run("UPDATE t SET body = 0 WHERE id = 1")
        let both = try database.open(["t", "u"], snapshot: true, after: checkpoint)
        let end = try both.endPosition()
        let batches = try both.drain()
        let events = try batches.flatMap { try changes(of: $0) }
        #expect(events.first?.operation == .update)
        #expect(events.dropFirst().allSatisfy { $0.operation == .snapshot && $0.table == "u" } && events.count == 6)
        #expect(try #require(batches.last?.checkpoint).resume >= end)
    }

    @Test func pagesNeverSortTheTable() throws {
        let database = try SourceDatabase(
            "CREATE TABLE a(id INTEGER PRIMARY KEY, v)", "CREATE TABLE b(k TEXT PRIMARY KEY, v)",
            "CREATE TABLE c(x TEXT COLLATE NOCASE, y, z, PRIMARY KEY(y, x COLLATE RTRIM)) WITHOUT ROWID",
            "CREATE TABLE d(x, y, z, PRIMARY KEY(z, x))", "CREATE INDEX d1 ON d(x, y, z)")
        for table in try TableShape.list(database.writer) {
            guard case .success(let shape) = try TableShape.read(table, from: database.writer) else {
                Issue.record("\(table.name) is refused")
                continue
            }
            let values: [[SQLiteValue]] = [[.integer(1), .integer(2)], [.null, .integer(2)], [.null, .null]]
            let mayBeNull = shape.name == "b" || shape.name == "d"
            for value in values where mayBeNull || !value.contains(.null) {
                let key = SnapshotKey(values: Array(value.prefix(shape.keyColumns.count)), rowid: 1)
                for page in SnapshotPages(shape).next(after: key) + SnapshotPages(shape).next(after: nil) {
                    let plan = try database.writer.prepare("EXPLAIN QUERY PLAN \(page.sql)")
                    while try plan.step() { #expect(plan.text(3)?.contains("TEMP B-TREE") == false, "\(page.sql)") }
                }
            }
        }
    }

    private func expectRisingIdentities(_ events: [Event]) {
        for (a, b) in zip(events, events.dropFirst()) { #expect(a.identity < b.identity) }
    }
}

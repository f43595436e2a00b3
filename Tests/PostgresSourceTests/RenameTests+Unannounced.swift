import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Names that the server does not announce on a stream that is open: those of schemas, and of roots of partitions.
extension RenameTests {
    /// How tables get other names, and back.
    struct Unannounced: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var tables: String
        /// What is captured.
        var patterns: [String]
        var forth: String
        var back: String
        /// Before and after, by which of them has whose rows.
        var before: [String]
        var after: [String]
    }

    static let unannounced = [
        Unannounced(
            testDescription: "schema", tables: "CREATE SCHEMA s; \(table("s.a"))", patterns: ["s.*", "n.*"],
            forth: "ALTER SCHEMA s RENAME TO n", back: "ALTER SCHEMA n RENAME TO s", before: ["s.a"], after: ["n.a"]),
        Unannounced(
            testDescription: "schema, tables without a key",
            tables: "CREATE SCHEMA s; CREATE TABLE s.a (id int, v text); ALTER TABLE s.a REPLICA IDENTITY FULL; "
                + fill("s.a"),
            patterns: ["s.*", "n.*"], forth: "ALTER SCHEMA s RENAME TO n", back: "ALTER SCHEMA n RENAME TO s",
            before: ["s.a"], after: ["n.a"]),
        Unannounced(
            testDescription: "swap of schemas",
            tables: "CREATE SCHEMA s; CREATE SCHEMA n; \(table("s.a")) \(table("n.a"))", patterns: ["s.*", "n.*"],
            forth: swapOfSchemas, back: swapOfSchemas, before: ["s.a", "n.a"], after: ["n.a", "s.a"]),
        Unannounced(
            testDescription: "root", tables: root("r"), patterns: ["public.*"], forth: "ALTER TABLE r RENAME TO q",
            back: "ALTER TABLE q RENAME TO r", before: ["public.r"], after: ["public.q"]),
        Unannounced(
            testDescription: "root in another schema", tables: "CREATE SCHEMA s; \(root("r"))",
            patterns: ["public.*", "s.*"], forth: "ALTER TABLE r SET SCHEMA s",
            back: "ALTER TABLE s.r SET SCHEMA public", before: ["public.r"], after: ["s.r"]),
        Unannounced(
            testDescription: "swap of roots", tables: root("r") + root("q"), patterns: ["public.*"],
            forth: swapOfRoots, back: swapOfRoots, before: ["public.r", "public.q"], after: ["public.q", "public.r"]),
    ]

    private static func table(_ name: String) -> String {
        "CREATE TABLE \(name) (id int PRIMARY KEY, v text); " + fill(name)
    }
    private static func fill(_ name: String) -> String {
        "INSERT INTO \(name) SELECT i, '\(name)' FROM generate_series(1, 10) i; "
    }
    private static func root(_ name: String) -> String {
        "CREATE TABLE \(name) (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE \(name)_1 PARTITION "
            + "OF \(name) FOR VALUES FROM (0) TO (1000); " + fill(name)
    }
    private static let swapOfSchemas =
        "BEGIN; ALTER SCHEMA s RENAME TO z; ALTER SCHEMA n RENAME TO s; ALTER SCHEMA z RENAME TO n; COMMIT"
    private static let swapOfRoots =
        "BEGIN; ALTER TABLE r RENAME TO z; ALTER TABLE q RENAME TO r; ALTER TABLE z RENAME TO q; COMMIT"

    /// Changes of each table that tell it, and this moment, from all others.
    private func change(_ database: TestDatabase, _ names: [String], _ moment: Int) throws {
        for (index, name) in names.enumerated() {
            try database.run(
                "UPDATE \(name) SET v = 'moment \(moment) of \(index)' WHERE id IN (1, \(moment)); "
                    + "INSERT INTO \(name) VALUES (\(100 * moment + index))")
        }
    }

    private func reader(
        _ database: TestDatabase, _ rename: Unannounced, watchInterval: Duration, snapshot: String = "initial"
    ) throws -> SourceReader {
        let reader = try SourceReader(
            database, tables: rename.patterns, publication: "p", snapshot: snapshot
        ) { $0.watchInterval = watchInterval }
        reader.reopens = true
        return reader
    }

    /// Takes, and does something between, until the source has said so.
    private func hears(_ part: String, _ reader: SourceReader, _ work: () throws -> Void = {}) async throws {
        #expect(
            try await polls {
                try work()
                try await reader.take(within: .milliseconds(20))
                return reader.notices.all.contains { $0.contains(part) }
            }, "\(part): \(reader.notices.all)")
    }

    /// Ends, and begins and ends once more, which tells nothing again.
    private func end(_ reader: SourceReader) async throws {
        await reader.source.close()
        var counts: [Int] = []
        for _ in 0..<2 {
            try await reader.open()
            try await reader.catchUp()
            try await reader.finishSnapshot()
            await reader.source.close()
            counts.append(reader.seen.count)
        }
        #expect(counts[0] == counts[1])
    }

    @Test(arguments: unannounced)
    func changesBehindANameThatIsNotAnnouncedComeUnderIt(rename: Unannounced) async throws {
        let database = try TestDatabase()
        try database.run(rename.tables)
        let reader = try reader(database, rename, watchInterval: .milliseconds(50))
        try await reader.open()
        try await reader.finishSnapshot()
        let truncated = truncates(reader)
        try change(database, rename.before, 2)
        try await reader.catchUp()
        try database.run(rename.forth)
        try change(database, rename.after, 3)
        // What is taken next may be from before the look.
        #expect(
            try await polls {
                try await reader.take(within: .milliseconds(20))
                return truncates(reader) == truncated + rename.after.count
            }, "\(reader.notices.all)")
        try await reader.finishSnapshot()
        try change(database, rename.after, 4)
        try await reader.catchUp()
        try expectAlike(reader, database, rename.after)
        try await end(reader)
        #expect(truncates(reader) == truncated + rename.after.count)
    }

    @Test(arguments: unannounced)
    func changesFromBothSidesOfANameThatIsNotAnnouncedAreReadByOneConnection(rename: Unannounced) async throws {
        let database = try TestDatabase()
        try database.run(rename.tables)
        let reader = try reader(database, rename, watchInterval: .seconds(600))
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        let truncated = truncates(reader)
        try change(database, rename.before, 2)
        try database.run(rename.forth)
        try change(database, rename.after, 3)
        try await reader.open()
        try await reader.finishSnapshot()
        try change(database, rename.after, 4)
        try await reader.catchUp()
        try expectAlike(reader, database, rename.after)
        try await end(reader)
        #expect(truncates(reader) == truncated + rename.after.count)
    }

    @Test(arguments: unannounced, [true, false])
    func aNameOfAMomentThatIsNotAnnouncedIsNotGoneOnWith(rename: Unannounced, isStopped: Bool) async throws {
        let database = try TestDatabase()
        try database.run(rename.tables)
        let reader = try reader(database, rename, watchInterval: .seconds(600))
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        // A connection that has seen nothing yet.
        if !isStopped { try await reader.open() }
        try database.run(rename.forth)
        try change(database, rename.after, 2)
        if !isStopped { try await reader.catchUp() }
        try database.run(rename.back)
        try change(database, rename.before, 3)
        if isStopped { try await reader.open() }
        try await reader.finishSnapshot()
        try change(database, rename.before, 4)
        try await reader.catchUp()
        try await reader.finishSnapshot()
        try expectAlike(reader, database, rename.before)
        try await end(reader)
    }

    /// Its changes announce the former name behind everything that was done about the rename.
    @Test(arguments: unannounced.prefix(3))
    func aTransactionThatBeganBeforeItsSchemaWasRenamedDoesNotBringTheNameBack(rename: Unannounced) async throws {
        // Where others work beside, what they do makes a server forget names by itself.
        let server = try PrivateServer([])
        let database = try TestDatabase(on: server)
        try database.run(rename.tables)
        let reader = try reader(database, rename, watchInterval: .milliseconds(50))
        try await reader.open()
        try await reader.finishSnapshot()
        try change(database, rename.before, 5)
        try await reader.catchUp()
        let session = try database.session()
        _ = try session.execute("BEGIN; UPDATE \(rename.before[0]) SET v = 'long' WHERE id = 7")
        try database.run(rename.forth)
        try await hears("the server goes on under the name", reader)
        // The connection knows no name now, and learns the former one.
        _ = try session.execute("UPDATE \(rename.after[0]) SET v = 'long' WHERE id = 8; COMMIT")
        for moment in 2...4 {
            try change(database, rename.after, moment)
            try await reader.catchUp()
            try await reader.finishSnapshot()
        }
        #expect(reader.notices.all.filter { $0.contains("the server goes on under the name") }.count >= 2)
        try expectAlike(reader, database, rename.after)
        try await end(reader)
    }

    /// Where the schema's tables are captured under one of its names alone.
    @Test(arguments: [true, false])
    func aSchemaThatIsRenamedIntoWhatIsCapturedOrOutOfIt(isOut: Bool) async throws {
        let database = try TestDatabase()
        let (from, to) = isOut ? ("s", "n") : ("n", "s")
        try database.run(
            "CREATE SCHEMA \(from); CREATE TABLE b (id int PRIMARY KEY); CREATE PUBLICATION p FOR ALL TABLES; "
                + Self.table("\(from).a"))
        let reader = try SourceReader(database, tables: ["s.*", "public.*"], publication: "p", snapshot: "initial") {
            $0.watchInterval = .milliseconds(50)
        }
        reader.reopens = true
        try await reader.open()
        try await reader.finishSnapshot()
        try change(database, ["\(from).a"], 2)
        try await reader.catchUp()
        try database.run("ALTER SCHEMA \(from) RENAME TO \(to)")
        try change(database, ["\(to).a"], 3)
        if isOut {
            // Somebody else has the name now.
            try await hears("s.a is called n.a now", reader)
            try database.run("CREATE SCHEMA s; \(Self.table("s.a"))")
        }
        try await hears("all rows of s.a were read", reader)
        try await reader.finishSnapshot()
        for moment in 4...5 {
            try change(database, isOut ? ["s.a", "n.a"] : ["s.a"], moment)
            try await reader.catchUp()
        }
        #expect(
            try await polls {
                try await reader.take(within: .milliseconds(20))
                return try isAlike(reader, database, "s.a")
            }, "\(reader.notices.all)")
        #expect(!reader.seen.contains { $0.table == "n.a" })
        try await end(reader)
    }

    @Test(arguments: unannounced)
    func whereNothingIsReadUnaskedTheNextLookSetsNamesRight(rename: Unannounced) async throws {
        let server = try PrivateServer([])
        let database = try TestDatabase(on: server)
        try database.run(rename.tables)
        let reader = try reader(database, rename, watchInterval: .milliseconds(50), snapshot: "never")
        try await reader.open()
        try change(database, rename.before, 2)
        try await reader.catchUp()
        try database.run(rename.forth)
        try await hears("the server goes on under the name", reader) {
            for name in rename.after { try database.run("UPDATE \(name) SET v = 'late' WHERE id = 3") }
        }
        let count = reader.seen.count
        try change(database, rename.after, 9)
        try await reader.catchUp()
        let told = reader.seen[count...].map { "\($0.table) \($0.after.last?.flatMap { $0 } ?? "")" }
        #expect(
            Set(told.filter { $0.contains("moment 9") })
                == Set(rename.after.enumerated().map { "\($1) moment 9 of \($0)" }))
        #expect(
            reader.notices.all.contains {
                $0.contains("\(rename.after[0]) was changed under the name \(rename.before[0])")
            })
        await reader.source.close()
    }
}

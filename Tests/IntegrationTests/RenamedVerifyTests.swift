import Foundation
import ProgramTesting
import Testing

/// `millrace verify` of tables that are renamed: what consumers have under a name is compared with the table that bears
/// it.
@Suite(.serialized)
struct RenamedVerifyTests {
    private static let swap =
        "BEGIN; ALTER TABLE a RENAME TO z; ALTER TABLE b RENAME TO a; ALTER TABLE z RENAME TO b; COMMIT"
    private let database: PostgresDatabase
    private let program: MillraceProgram

    init() throws { (database, program) = try Self.make() }

    private static func make(
        snapshot: String = "initial", schemas: String = "on_change: quarantine"
    ) throws -> (PostgresDatabase, MillraceProgram) {
        let database = try PostgresDatabase()
        try database.sql(
            """
            CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text);
            INSERT INTO a SELECT i, 'a' FROM generate_series(1, 10) i;
            INSERT INTO b SELECT i, 'b' FROM generate_series(1, 5) i;
            """)
        let program = try MillraceProgram(
            configuration: """
                name: \(database.name)
                source:
                  postgres:
                    url: \(database.url)
                    tables: [public.*]
                    snapshot: \(snapshot)
                schemas: {\(schemas)}
                sinks:
                  archive:
                    file: {path: "out/all.jsonl"}
                """)
        try program.catchUp()
        return (database, program)
    }

    /// The released changes were counted for the table that they are of, and not for the one whose consumers have them.
    @Test func deadLettersThatAreReleasedAfterASwapOfNamesBelongToTheNameThatTheyAreToldUnder() throws {
        try database.sql("ALTER TABLE a ADD COLUMN note text; UPDATE a SET v = 'held' WHERE id = 1")
        try program.catchUp()
        #expect(try program.run("deadletters", "list").output.contains("1 change waiting"))
        try database.sql(Self.swap + "; UPDATE b SET v = 'newer' WHERE id = 1")
        try program.catchUp()
        #expect(try program.verify().table("public.a")["skipped"] as? String != nil)
        // The table is told under its new name before the changes that wait under the former one.
        for table in ["b", "a"] {
            for _ in 0..<3 {
                _ = try program.run("schema", "accept", "\(database.name).public.\(table)")
                try program.catchUp()
            }
        }
        #expect(try program.run("deadletters", "list").output.contains("nothing waits"))
        let result = try program.verify()
        #expect(result.code == 0 && result.isEqual, "\(result.text)")
        #expect(result.table("public.b")["rows_equal"] as? Int == 10, "\(result.text)")
        #expect(result.table("public.a")["rows_equal"] as? Int == 5, "\(result.text)")
    }

    /// Until capture has met the new names, nothing can be said of the tables; both runs and stops have such moments.
    @Test(arguments: ["initial", "never"])
    func tablesThatAreCalledOtherwiseSinceTheLastRunAreNotCalledDifferent(_ snapshot: String) throws {
        let (database, program) = try Self.make(snapshot: snapshot)
        try database.sql("UPDATE a SET v = 'x'; UPDATE b SET v = 'y'")
        try program.catchUp()
        try database.sql(Self.swap + "; UPDATE a SET v = 'z' WHERE id < 3; CREATE TABLE c (id int PRIMARY KEY)")
        let before = try program.verify()
        #expect(before.code == 0, "\(before.text)")
        for name in ["public.a", "public.b"] {
            #expect(
                before.table(name)["skipped"] as? String == "it has this name since capture last looked at the tables")
        }
        try program.catchUp()
        try database.sql("INSERT INTO a VALUES (99, 'new'); INSERT INTO c VALUES (1)")
        try program.catchUp()
        let after = try program.verify()
        // Where nothing is read unasked, consumers of both names have rows of the other table.
        #expect(after.code == (snapshot == "initial" ? 0 : 1), "\(after.text)")
        #expect(after.table("public.c")["rows_equal"] as? Int == 1, "\(after.text)")
        #expect(snapshot == "never" || after.table("public.a")["rows_equal"] as? Int == 6, "\(after.text)")
        #expect(snapshot == "initial" || after.table("public.b")["rows_different"] as? Int == 5, "\(after.text)")
    }

    @Test func changesUnderANameOfAMomentThatTheLogLacksAreNoDifferences() throws {
        try database.sql(
            "BEGIN; ALTER TABLE a RENAME TO hid; UPDATE hid SET v = 'x' WHERE id = 3; COMMIT; "
                + "ALTER TABLE hid RENAME TO a")
        let before = try program.verify()
        #expect(before.code == 0, "\(before.text)")
        #expect((before.table("public.a")["skipped"] as? String)?.contains("under another name") ?? false)
        #expect(before.table("public.b")["rows_equal"] as? Int == 5)
        let alone = try program.run("verify", "public.a")
        #expect(alone.exitCode == 0, "\(alone.output)")
        try program.catchUp()
        let after = try program.verify()
        #expect(after.code == 0 && after.table("public.a")["rows_equal"] as? Int == 10, "\(after.text)")
    }

    @Test func rowsUnderANameThatTheTableHadAreSaidToBeThere() throws {
        try database.sql("ALTER TABLE a RENAME TO c")
        try program.catchUp()
        let result = try program.verify()
        #expect(result.code == 0 && result.table("public.c")["rows_equal"] as? Int == 10, "\(result.text)")
        let former = result.table("public.a")["skipped"] as? String ?? ""
        #expect(former.hasPrefix("no table has this name any more"), "\(result.text)")
    }

    @Test func namesThatAreSwappedBesideARunAreNeverCalledDifferent() throws {
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql(Self.swap + "; UPDATE b SET v = 'newer' WHERE id = 1")
        var results: [VerifyResult] = []
        try running.wait(for: "the tables under their names") {
            results.append(try program.verify())
            return results.last?.table("public.a")["rows_equal"] as? Int == 5
                && results.last?.table("public.b")["rows_equal"] as? Int == 10
        }
        #expect(results.allSatisfy { $0.code == 0 }, "\(results.map(\.text))")
        running.send(SIGTERM)
        _ = try running.finish()
    }
}

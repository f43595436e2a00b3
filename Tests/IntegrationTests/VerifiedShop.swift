import Foundation
import ProgramTesting

/// A PostgreSQL database with a table with a key and one without, and a program that captures both.
struct VerifiedShop {
    let database: PostgresDatabase
    let program: MillraceProgram

    /// A shop with rows that are there before capture begins, and are read (`initial`) or not (`never`).
    init(rowsBefore: Int = 0, snapshot: String = "never", transforms: String = "") throws {
        database = try PostgresDatabase()
        try database.sql(
            """
            CREATE TABLE orders (id bigint PRIMARY KEY, status text, note text);
            ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL;
            CREATE TABLE loose (n int, v text); ALTER TABLE loose REPLICA IDENTITY FULL;
            INSERT INTO orders SELECT -i, 'old' FROM generate_series(1, \(rowsBefore)) i;
            """)
        program = try MillraceProgram(
            configuration: Self.configuration(database.name, database.url, snapshot) + "\n" + transforms)
        try program.catchUp()
    }

    private static func configuration(_ name: String, _ url: String, _ snapshot: String = "never") -> String {
        """
        name: \(name)
        source:
          postgres:
            url: \(url)
            tables: [public.*]
            snapshot: \(snapshot)
        sinks:
          archive:
            file: {path: "out/{table}.jsonl"}
        """
    }

    /// The configuration with another server.
    func configuration(url: String) throws -> String { Self.configuration(database.name, url) }

    /// Runs statements, each in a transaction of its own.
    func sql(_ statements: String...) throws { for statement in statements { try database.sql(statement) } }

    /// Changes rows of some tables without an event: in a transaction that the publication does not cover.
    func unseen(_ statements: String, of tables: String = "orders, loose") throws {
        let publication = try database.sql("SELECT pubname FROM pg_publication").first ?? ""
        try database.sql("ALTER PUBLICATION \(publication) DROP TABLE \(tables)")
        try database.sql(statements)
        try database.sql("ALTER PUBLICATION \(publication) ADD TABLE \(tables)")
    }

    func verify() throws -> VerifyResult { try program.verify(showingKeys: false) }

    /// Where the slot is.
    func slotPosition() throws -> String {
        try database.sql(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = '\(database.name)'"
        ).first ?? ""
    }

    /// Several sessions that change the same few rows, keys too, without a pause.
    func startWriters(transactions: Int) throws -> ChildProcess {
        let script = try program.folder.write(
            "writers.sql",
            """
            \\set id random(1, 300)
            \\set other random(1, 300)
            BEGIN;
            UPDATE orders SET status = status || 'x' WHERE id = :id;
            INSERT INTO orders VALUES (:other, 'new', repeat('y', 2500))
                ON CONFLICT (id) DO UPDATE SET status = 'again';
            UPDATE orders SET id = -id WHERE id = :id AND NOT EXISTS (SELECT FROM orders WHERE id = -:id);
            DELETE FROM orders WHERE id = -:other;
            INSERT INTO loose VALUES (:id % 5, 'v');
            DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose LIMIT 1);
            END;
            """)
        let tools = try runProgram("/bin/sh", ["-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1"])
        // That of a server before 15 knows no --max-tries.
        let installed = tools.output.trimmingCharacters(in: .whitespacesAndNewlines)
        let folder = installed.isEmpty ? ProcessInfo.processInfo.environment["MILLRACE_PGBIN"] ?? "" : installed
        return try ChildProcess(
            folder + "/pgbench",
            ["-n", "-c", "4", "-t", "\(transactions)", "--max-tries=100", "-f", script, database.name])
    }

    private var logFile: String { program.folder.path(".millrace/log.sqlite") }

    /// A copy of the log, while nobody has it open.
    func copyOfLog() throws -> Data { try Data(contentsOf: URL(fileURLWithPath: logFile)) }

    /// Puts a copy in the place of the log.
    func restoreLog(_ data: Data) throws {
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: logFile + suffix) }
        try data.write(to: URL(fileURLWithPath: logFile))
    }

    /// Takes one event that has a batch of its own out of the log, so that nothing of it can be seen.
    func removeEvent(at offset: Int) throws {
        let script = """
            DELETE FROM batch WHERE first_offset = \(offset) AND change_count = 1;
            UPDATE batch SET first_offset = first_offset - 1 WHERE first_offset > \(offset);
            UPDATE position SET next_offset = next_offset - 1;
            PRAGMA wal_checkpoint(TRUNCATE);
            """
        try SQLiteShell.run(logFile, script)
    }
}

/// A SQLite file with rows from before, a key that may be NULL, and a program that captures it.
struct VerifiedTill {
    let program: MillraceProgram

    init() throws {
        program = try MillraceProgram(
            configuration: """
                name: till
                source:
                  sqlite: {path: till.db}
                sinks:
                  items:
                    file: {path: "out/{table}.jsonl"}
                """)
        try sql(
            """
            CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, data BLOB, amount REAL);
            CREATE TABLE odd (k TEXT PRIMARY KEY, v TEXT);
            INSERT INTO items VALUES (1, 'a', NULL, 0.1), (2, 'q', x'01', 1e300), (3, '', zeroblob(3), -0.0);
            INSERT INTO odd VALUES (NULL, 'x'), (NULL, 'y'), (NULL, 'y'), ('k', 'z');
            """)
    }

    func verify() throws -> VerifyResult { try program.verify() }

    func sql(_ statements: String) throws { try program.sqlite("till.db", statements) }

    /// Changes rows without an event: the triggers are taken away for a moment.
    func unseen(_ statements: String...) throws {
        let script = """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1], isolation_level=None)
            triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            for name, _ in triggers: db.execute(f'DROP TRIGGER "{name}"')
            for statement in sys.argv[2:]: db.execute(statement)
            for _, sql in triggers: db.execute(sql)
            """
        let result = try runProgram(
            "/usr/bin/env", ["python3", "-c", script, program.folder.path("till.db")] + statements)
        guard result.exitCode == 0 else { throw ChildFailure(description: "python3: \(result.errors)") }
    }
}

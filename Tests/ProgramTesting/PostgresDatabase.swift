import Foundation

/// A database of its own on the server that scripts/with-postgres started, dropped with its slots at the end.
package final class PostgresDatabase: Sendable {
    /// The database's name.
    package let name: String
    /// Where psql finds the server.
    package let environment: [String: String]

    /// Makes a database. Throws with the way out when there is no server: a test must fail then, not pass silently.
    package init() throws {
        guard ProcessInfo.processInfo.environment["PGPORT"] != nil else {
            throw ChildFailure(description: "no PostgreSQL server: run the tests by scripts/test")
        }
        environment = [:]
        name = "test_\(UUID().uuidString.prefix(8).lowercased())"
        try sql("CREATE DATABASE \(name)", database: "postgres")
    }

    /// Makes a database on a server of the test's own.
    package init(on server: OwnServer) throws {
        environment = ["PGHOST": "127.0.0.1", "PGPORT": server.port, "PGUSER": "postgres"]
        name = "test_\(UUID().uuidString.prefix(8).lowercased())"
        try sql("CREATE DATABASE \(name)", database: "postgres")
    }

    deinit {
        let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '\(name)'"
        _ = try? sql(drop, database: "postgres")
        _ = try? sql("DROP DATABASE \(name) WITH (FORCE)", database: "postgres")
    }

    /// A connection string for the program.
    package var url: String {
        let environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        return "postgresql://\(environment["PGUSER"] ?? "postgres")@\(environment["PGHOST"] ?? "127.0.0.1")"
            + ":\(environment["PGPORT"] ?? "5432")/\(name)"
    }

    /// Runs statements, one transaction each, and returns the rows as text, columns parted by `|`.
    @discardableResult
    package func sql(_ statements: String) throws -> [String] { try sql(statements, database: name) }

    @discardableResult
    private func sql(_ statements: String, database: String) throws -> [String] {
        let result = try runProgram(
            "/usr/bin/psql", ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statements],
            environment: environment)
        guard result.exitCode == 0 else { throw ChildFailure(description: "psql: \(result.errors)") }
        return result.output.split(separator: "\n").map(String.init)
    }

    /// The rows of a query by key text (`column=value`). The query casts to text what events carry as text (numeric,
    /// times).
    package func rows(_ query: String, key: String) throws -> [String: [String: AnyHashable]] {
        let lines = try sql("SELECT row_to_json(t)::text FROM (\(query)) t")
        var rows: [String: [String: AnyHashable]] = [:]
        for line in lines {
            guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
                throw ChildFailure(description: "no row")
            }
            let row = plainRow(object)
            rows["\(key)=\(row[key].map { "\($0)" } ?? "")"] = row
        }
        return rows
    }
}

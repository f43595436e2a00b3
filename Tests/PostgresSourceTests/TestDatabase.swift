import Glibc
import Synchronization
import Testing

@testable import PostgresSource

/// A database of its own on the real server that PGHOST, PGPORT and PGUSER name; dropped with its slots at the end.
///
/// Without a server the test fails: start it by `scripts/with-postgres swift test`.
final class TestDatabase: Sendable {
    let name: String
    let url: String
    private let client: Mutex<PostgresConnection>
    private static let counter = Atomic<Int>(0)

    struct NoServer: Error, CustomStringConvertible {
        var description: String
    }

    /// A database on the shared server, or on one of the test's own.
    init(encoding: String? = nil, on server: PrivateServer? = nil) throws {
        guard let host = server.map({ _ in "127.0.0.1" }) ?? environment("PGHOST"),
            let port = server.map({ String($0.port) }) ?? environment("PGPORT")
        else {
            throw NoServer(description: "no PostgreSQL server: run the tests by scripts/with-postgres")
        }
        let number = Self.counter.add(1, ordering: .relaxed).newValue
        name = "millrace_test_\(getpid())_\(number)"
        let user = environment("PGUSER") ?? "postgres"
        url = "host=\(host) port=\(port) user=\(user) dbname=\(name)"
        let admin = try PostgresConnection(
            opening: "host=\(host) port=\(port) user=\(user) dbname=postgres", for: .catalogue)
        _ = try admin.execute("SET statement_timeout TO 0; SET lock_timeout TO 0", within: .seconds(20))
        let suffix = encoding.map { " ENCODING '\($0)' LOCALE 'C' TEMPLATE template0" } ?? ""
        _ = try admin.execute("CREATE DATABASE \(name)\(suffix)", within: .seconds(120))
        client = Mutex(try PostgresConnection(opening: url, for: .catalogue))
        // A slot, for example, waits for every transaction of the other tests.
        try run("SET search_path TO public; SET statement_timeout TO 0; SET lock_timeout TO 0")
    }

    deinit {
        _ = try? run(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                + "WHERE database = current_database() AND active"
        )
        for _ in 0..<100 {
            let drop = """
                SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                WHERE database = current_database() AND NOT active
                """
            _ = try? run(drop)
            let left = try? run("SELECT 1 FROM pg_replication_slots WHERE database = current_database()")
            if left?.rows.isEmpty ?? true { break }
            usleep(50_000)
        }
        let adminURL = url.replacing("dbname=\(name)", with: "dbname=postgres")
        guard let admin = try? PostgresConnection(opening: adminURL, for: .catalogue) else { return }
        _ = try? admin.execute("DROP DATABASE \(name) WITH (FORCE)", within: .seconds(60))
    }

    /// Runs one or several statements.
    @discardableResult
    func run(_ sql: String) throws -> QueryResult {
        try client.withLock { client in try client.execute(sql, within: .seconds(300)) }
    }

    /// The first value of a query.
    func value(_ sql: String) throws -> String? { try run(sql).rows.first?.first ?? nil }

    /// A second session beside the first.
    func session() throws -> PostgresConnection { try PostgresConnection(opening: url, for: .catalogue) }

    /// The text for a role that is not a superuser.
    func url(as role: String) -> String {
        url.split(separator: " ").map { $0.hasPrefix("user=") ? "user=\(role)" : String($0) }.joined(separator: " ")
    }

    /// Waits until a query says `t`, without a fixed time.
    func waits(for condition: String, limit: Duration = .seconds(60)) async throws -> Bool {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if try value("SELECT (\(condition))::text") == "true" { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }
}

/// Waits until a condition holds, without a fixed time; false when it does not for a minute.
func polls(_ isThere: () async throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
        if try await isThere() { return true }
        try await Task.sleep(for: .milliseconds(20))
    }
    return false
}

/// The server that PGHOST, PGPORT and PGUSER name.
enum TestServer {
    /// Such as 150018. Without a server every test is for it, and fails.
    static let version: Int = {
        guard let host = environment("PGHOST"), let port = environment("PGPORT") else { return .max }
        let url = "host=\(host) port=\(port) user=\(environment("PGUSER") ?? "postgres") dbname=postgres"
        let connection = try? PostgresConnection(opening: url, for: .catalogue)
        return connection?.serverVersion ?? .max
    }()
    /// True from 15 on, which publishes some columns or rows of a table, and whole schemas.
    static var publishesParts: Bool { version >= 150_000 }
}

func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    return String(cString: value)
}

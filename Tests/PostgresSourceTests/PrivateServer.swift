import Glibc

@testable import PostgresSource

/// A server of a test's own, for settings that the shared one must not have. Stopped and removed at the end.
final class PrivateServer: Sendable {
    let url: String
    let folder: String
    let port: Int

    struct CannotStart: Error {
        var output: String
    }

    init(_ settings: [String]) throws {
        folder = "/tmp/millrace-server-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let lines = settings.map { " '\($0)'" }.joined()
        let output = Self.shell(
            "mkdir -p '\(folder)'; chmod 755 '\(folder)'; postgres_start '\(folder)'\(lines) && echo $PGPORT")
        guard let port = Int(output) else { throw CannotStart(output: output) }
        self.port = port
        url = "host=127.0.0.1 port=\(port) user=postgres dbname=postgres"
    }

    /// A standby of a server.
    init(following primary: PrivateServer, _ settings: [String] = []) throws {
        folder = "/tmp/millrace-server-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let lines = settings.map { " \"\($0)\"" }.joined()
        let output = Self.shell(
            "mkdir -p '\(folder)'; chmod 755 '\(folder)'; PGHOST=127.0.0.1 PGPORT=\(primary.port); "
                + "postgres_follow '\(folder)'\(lines) && echo $PGPORT")
        guard let port = Int(output) else { throw CannotStart(output: output) }
        self.port = port
        url = "host=127.0.0.1 port=\(port) user=postgres dbname=postgres"
    }

    /// Has `pg_ctl` do something with the server: `stop -m fast`, `restart -m immediate`, `promote`.
    func control(_ command: String) throws {
        let data = "\(folder)/data"
        let output = Self.shell(
            "as_postgres \"$(postgres_bin)/pg_ctl\" -w -D '\(data)' -l '\(data)/server.log' \(command) >/dev/null "
                + "2>&1; echo done")
        guard output == "done" else { throw CannotStart(output: "pg_ctl \(command) failed") }
    }

    /// Runs SQL over a connection of its own; the first value.
    @discardableResult
    func run(_ sql: String) throws -> String? {
        let client = try PostgresConnection(opening: url, for: .catalogue)
        return try client.execute(sql, within: .seconds(120)).rows.first?.first ?? nil
    }

    /// Waits until a query says `t`.
    func waits(for condition: String) async throws -> Bool {
        try await polls { try run("SELECT \(condition)") == "t" }
    }

    private init(folder: String, port: Int) {
        self.folder = folder
        self.port = port
        url = "host=127.0.0.1 port=\(port) user=postgres dbname=postgres"
    }

    /// A server that went on from a copy of this one, slots included, on a timeline of its own. This one is stopped for
    /// the copy and started again.
    func promotedCopy() throws -> PrivateServer {
        let copy = "\(folder)-copy"
        let output = Self.shell(
            """
            bin=$(postgres_bin)
            as_postgres "$bin/pg_ctl" -w -m fast -D '\(folder)/data' stop >/dev/null
            mkdir -p '\(copy)'; chmod 755 '\(copy)'; cp -a '\(folder)/data' '\(copy)/data'
            as_postgres "$bin/pg_ctl" -w -l '\(folder)/data/server.log' -D '\(folder)/data' start >/dev/null
            port=$(free_port); echo "port = $port" >>'\(copy)/data/postgresql.conf'
            as_postgres touch '\(copy)/data/standby.signal'
            if [ "$(id -u)" = 0 ]; then chown postgres: '\(copy)'; fi
            as_postgres "$bin/pg_ctl" -w -l '\(copy)/data/server.log' -D '\(copy)/data' start >/dev/null
            as_postgres "$bin/pg_ctl" -w -D '\(copy)/data' promote >/dev/null; echo $port
            """)
        guard let port = Int(output) else { throw CannotStart(output: output) }
        return PrivateServer(folder: copy, port: port)
    }

    deinit {
        _ = Self.shell(
            "MILLRACE_PGBIN=$(postgres_bin); MILLRACE_PGDATA='\(folder)/data'; postgres_stop; rm -rf '\(folder)'")
    }

    /// Gives the server a certificate and turns TLS on for connections from now on.
    func enableTLS() throws {
        let made = Self.shell(
            """
            cd '\(folder)/data'
            openssl req -new -x509 -days 2 -nodes -subj /CN=localhost -out server.crt -keyout server.key 2>/dev/null
            chmod 600 server.key; if [ "$(id -u)" = 0 ]; then chown postgres: server.crt server.key; fi; echo made
            """)
        guard made == "made" else { throw CannotStart(output: "openssl made no certificate") }
        let client = try PostgresConnection(opening: url, for: .catalogue)
        _ = try client.execute("ALTER SYSTEM SET ssl = on")
        _ = try client.execute("SELECT pg_reload_conf()")
    }

    /// Runs commands after the functions of `scripts/lib/postgres.sh`; gives their first line. The end of the output is
    /// not waited for, because a server that was started keeps it open.
    static func shell(_ commands: String) -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        guard let output = popen("set -e; . '/\(root)/scripts/lib/postgres.sh'; \(commands)", "r") else { return "" }
        var line = [CChar](repeating: 0, count: 256)
        let isRead = fgets(&line, 256, output) != nil
        pclose(output)
        let bytes = line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
        return isRead ? String(decoding: bytes, as: UTF8.self) : ""
    }
}

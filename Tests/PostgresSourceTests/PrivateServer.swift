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

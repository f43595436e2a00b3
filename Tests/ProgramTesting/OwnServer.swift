private import Foundation

/// A PostgreSQL server with settings of its own, stopped when this object goes.
package final class OwnServer: Sendable {
    private let folder: TemporaryFolder
    private let port: String

    /// Makes a cluster and starts it with these lines of configuration behind the usual ones.
    package init(settings: [String]) throws {
        folder = try TemporaryFolder()
        _ = try runProgram("/bin/chmod", ["755", folder.url.path])
        let lines = settings.map { "'\($0)'" }.joined(separator: " ")
        let result = try Self.shell("postgres_start '\(folder.path("server"))' \(lines); echo $PGPORT")
        guard result.exitCode == 0, let port = result.output.split(separator: "\n").last else {
            throw ChildFailure(description: "no server of our own: \(result.errors)")
        }
        self.port = String(port)
    }

    deinit {
        _ = try? Self.shell(
            "MILLRACE_PGBIN=$(postgres_bin) MILLRACE_PGDATA='\(folder.path("server"))/data' && postgres_stop")
    }

    /// A connection string for the program.
    package var url: String { "postgresql://postgres@127.0.0.1:\(port)/postgres" }

    /// Runs statements.
    package func sql(_ statements: String) throws {
        let result = try runProgram(
            "/usr/bin/psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statements])
        guard result.exitCode == 0 else { throw ChildFailure(description: "psql: \(result.errors)") }
    }

    /// How a restart ends the server's sessions.
    package enum RestartMode: String {
        /// They are rolled back, and everything is written out.
        case fast
        /// As by a crash: nothing is written out, and recovery follows.
        case immediate
    }

    /// Stops the server and starts it again; returns when it takes connections.
    package func restart(_ mode: RestartMode) throws {
        let data = "\(folder.path("server"))/data"
        let command =
            "as_postgres \"$(postgres_bin)/pg_ctl\" -D '\(data)' -l '\(data)/server.log' -m \(mode) -w restart"
        let result = try Self.shell("\(command) >/dev/null 2>&1")
        guard result.exitCode == 0 else { throw ChildFailure(description: "no restart: \(result.errors)") }
    }

    /// The rows of a query, as they compare with those of events.
    package func rows(_ query: String) throws -> [[String: AnyHashable]] {
        let result = try runProgram(
            "/usr/bin/psql", ["-X", "-A", "-t", "-q", "-d", url, "-c", "SELECT row_to_json(t)::text FROM (\(query)) t"])
        guard result.exitCode == 0 else { throw ChildFailure(description: "psql: \(result.errors)") }
        return try result.output.split(separator: "\n").map { line in
            guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
                throw ChildFailure(description: "no row")
            }
            return plainRow(object)
        }
    }

    /// Runs a shell command with the server's functions. The server must not inherit what this process uses to see the
    /// command's end, or that would never come: all descriptors but the standard three are closed first.
    private static func shell(_ command: String) throws -> ChildResult {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..").path
        let closing = "for f in /proc/$$/fd/*; do n=${f##*/}; if [ $n -gt 2 ]; then eval \"exec $n>&-\"; fi; done"
        return try runProgram("/bin/bash", ["-euc", "\(closing); . '\(root)/scripts/lib/postgres.sh'; \(command)"])
    }
}

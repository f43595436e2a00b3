private import Foundation

/// A PostgreSQL server with settings of its own, stopped when this object goes.
package final class OwnServer: Sendable {
    private let folder: TemporaryFolder
    /// The TCP port on 127.0.0.1.
    package let port: String

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

    /// Makes a standby of a server and starts it.
    package init(following primary: OwnServer) throws {
        folder = try TemporaryFolder()
        _ = try runProgram("/bin/chmod", ["755", folder.url.path])
        let result = try Self.shell(
            "PGHOST=127.0.0.1 PGPORT=\(primary.port); postgres_follow '\(folder.path("server"))'; echo $PGPORT")
        guard result.exitCode == 0, let port = result.output.split(separator: "\n").last else {
            throw ChildFailure(description: "no standby: \(result.errors)")
        }
        self.port = String(port)
    }

    /// How a server ends.
    package enum Ending: String, CaseIterable, Sendable {
        /// Connections are ended, a checkpoint is written.
        case fast
        /// Everything is dropped; the next start recovers.
        case immediate
        /// The postmaster is killed; its children notice.
        case killed
    }

    /// Ends the server.
    package func stop(_ ending: Ending) throws {
        let command =
            ending == .killed
            ? "kill -9 $(head -1 \"$MILLRACE_PGDATA/postmaster.pid\")"
            : "as_postgres \"$MILLRACE_PGBIN/pg_ctl\" -D \"$MILLRACE_PGDATA\" -m \(ending.rawValue) -w stop"
        try control(command)
    }

    /// Starts the server again. After a kill the children of the old one may need a moment to go.
    package func start() throws {
        try control(
            "for _try in $(seq 100); do as_postgres \"$MILLRACE_PGBIN/pg_ctl\" -D \"$MILLRACE_PGDATA\" "
                + "-l \"$MILLRACE_PGDATA/server.log\" -w start >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1")
    }

    /// Makes a standby the primary.
    package func promote() throws {
        try control("as_postgres \"$MILLRACE_PGBIN/pg_ctl\" -D \"$MILLRACE_PGDATA\" -w promote")
    }

    private func control(_ command: String) throws {
        let result = try Self.shell(
            "MILLRACE_PGBIN=$(postgres_bin); MILLRACE_PGDATA='\(folder.path("server"))/data'; \(command)")
        guard result.exitCode == 0 else { throw ChildFailure(description: "\(command): \(result.errors)") }
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

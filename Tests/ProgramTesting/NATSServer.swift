private import Foundation
private import Synchronization

/// A nats-server with JetStream in a temporary folder, stopped when this object goes.
package final class NATSServer: Sendable {
    private let folder: TemporaryFolder
    private let process = Mutex<ChildProcess?>(nil)
    /// The TCP port on 127.0.0.1.
    package let port: String

    /// Starts a server. `lines` are added to its configuration; `files` are written beside it first, and `FOLDER` in
    /// the lines stands for where they are.
    /// With `domain`, its JetStream is one of that name.
    package convenience init(
        _ lines: String = "", domain: String? = nil, files: [String: String] = [:]
    ) throws {
        try self.init(port: Self.freePort(), lines, domain: domain, files: files)
    }

    /// Makes a server and starts it.
    private init(port: String, _ lines: String, domain: String? = nil, files: [String: String] = [:]) throws {
        folder = try TemporaryFolder()
        self.port = port
        for (name, text) in files { try folder.write(name, text) }
        let more = lines.replacingOccurrences(of: "FOLDER", with: folder.url.path)
        try folder.write(
            "server.conf",
            """
            listen: 127.0.0.1:\(port)
            jetstream { store_dir: "\(folder.path("store"))"\(domain.map { ", domain: \($0)" } ?? "") }
            \(more)

            """)
        try start()
    }

    /// Starts three servers that are one cluster, and returns when it has a leader.
    package static func cluster() throws -> [NATSServer] {
        let ports = try (0..<6).map { _ in try freePort() }
        let routes = ports[3...].map { "nats://127.0.0.1:\($0)" }.joined(separator: ", ")
        let servers = try (0..<3).map { index in
            try NATSServer(
                port: ports[index],
                """
                server_name: s\(index)
                cluster { name: test, listen: 127.0.0.1:\(ports[3 + index]), routes: [\(routes)] }
                """)
        }
        return servers
    }

    /// Where a client connects.
    package var address: String { "nats://127.0.0.1:\(port)" }
    /// The path of a file beside the configuration.
    package func path(_ name: String) -> String { folder.path(name) }

    /// Writes a file beside the configuration.
    package func write(_ name: String, _ text: String) throws { try folder.write(name, text) }
    /// Has the running server read its configuration again, and returns when it has.
    package func reload() throws {
        guard let child = process.withLock({ $0 }) else { return }
        child.send(SIGHUP)
        try child.wait(for: "a server that read its configuration") { child.errorText.contains("Reloaded server") }
    }

    /// Starts the server, and returns when it takes connections.
    package func start() throws {
        let child = try ChildProcess(Self.executable, ["-c", folder.path("server.conf")])
        process.withLock { $0 = child }
        try child.wait(for: "a NATS server that is ready") { child.errorText.contains("Server is ready") }
    }

    /// Ends the server as a power switch would.
    package func kill() { process.withLock { $0.take() }?.kill() }
    /// Freezes the server as a machine that hangs would be, and returns when it does nothing any more.
    package func freeze() throws {
        guard let child = process.withLock({ $0 }) else { return }
        child.send(SIGSTOP)
        try child.wait(for: "a server that is stopped") {
            let state = try String(contentsOfFile: "/proc/\(child.id)/stat", encoding: .utf8)
            return state.contains(") T ")
        }
    }
    /// Lets a frozen server go on.
    package func wake() { process.withLock { $0?.send(SIGCONT) } }
    /// What it wrote.
    package var log: String { process.withLock { $0?.errorText ?? "" } }

    /// Debian's, or another one that the tests are told.
    private static var executable: String {
        if let named = ProcessInfo.processInfo.environment["MILLRACE_NATS_SERVER"] { return named }
        return ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"]
            .first { FileManager.default.isExecutableFile(atPath: $0) } ?? "nats-server"
    }

    /// A port below those that connections get by themselves, which could take it before the server does.
    package static func freePort() throws -> String {
        let result = try runProgram(
            "/usr/bin/python3",
            [
                "-c",
                """
                import random, socket
                while True:
                    port = random.randint(10240, 32000)
                    try:
                        socket.socket().bind(("127.0.0.1", port))
                        break
                    except OSError:
                        pass
                print(port)
                """,
            ])
        return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    deinit { kill() }
}

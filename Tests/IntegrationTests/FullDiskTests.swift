import Foundation
import ProgramTesting
import Synchronization
import Testing

/// The disk of the log is full, the program is killed there, and nobody makes room.
@Suite(.serialized)
struct FullDiskTests {
    @Test func onAFullDiskAKilledProgramDeliversAllItHasAndCapturesOn() throws {
        let (disk, output) = (try SmallDisk(bytes: 26 << 20), try SmallDisk(bytes: 96 << 20))
        try Data(count: 10 << 20).write(to: URL(fileURLWithPath: disk.path + "/filler"))
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, note text)")
        let program = try MillraceProgram(
            configuration: configuration(database, output: output.path)
                + "\nlog: {directory: \(disk.path)/state, reserve: 4MiB, retention: {size: 1MiB}}\n")
        try program.catchUp()
        #expect(try size(disk.path + "/state/reserve") == 4 << 20)
        let ledger = try PostgresLedger(
            database, publication: try database.sql("SELECT pubname FROM pg_publication")[0])
        // The sink has no room of its own, so that the log fills.
        try fill(output.path + "/filler")
        var running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql("INSERT INTO orders SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i")
        try running.waitForError(containing: "log.disk_full")
        try running.waitForError(containing: "file.disk_full")
        try fill(disk.path + "/filler")
        running.send(SIGKILL)
        _ = try running.finish()
        #expect(try program.run("status").output.contains("[log.disk_full]"))
        #expect(try program.run("doctor").output.contains("[log.disk_full]"))

        running = try program.start("run")
        try running.waitForError(containing: "log.disk_full")
        try fill(disk.path + "/filler")
        try FileManager.default.removeItem(atPath: output.path + "/filler")
        let file = output.path + "/orders.jsonl"
        try running.wait(for: "some events") { try size(file) > 1 << 20 }
        running.send(SIGKILL)
        _ = try running.finish()
        try fill(disk.path + "/filler")

        running = try program.start("run")
        var lines = LineCounter(file)
        try running.wait(for: "all events") { lines.count() >= 20000 }
        #expect(try size(disk.path + "/state/reserve") < 4 << 20)
        try FileManager.default.removeItem(atPath: disk.path + "/filler")
        try running.wait(for: "the reserve") { try size(disk.path + "/state/reserve") == 4 << 20 }
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 143)
        let events = try Event.parse(lines: String(contentsOfFile: file, encoding: .utf8))
        #expect(events.map(\.sequence) == (try ledger.changes()))
        #expect(try !program.run("status").output.contains("[log.disk_full]"))
    }

    @Test func lettersFillTheDiskAndARetryOfAMendedReceiverDeliversAll() throws {
        let place = try LetterPlace()
        var running = try place.fillWithLetters()
        try fill(place.disk.path + "/filler")
        place.receiver.status = 200
        let retry = try place.program.run("deadletters", "retry", "@hook")
        #expect(retry.exitCode == 0, "\(retry.errors)")
        try running.wait(for: "what waited") { try place.receiver.count == place.count() }
        try place.insert(50)
        try running.wait(for: "what is captured on the full disk") { try place.receiver.count == place.count() }
        #expect(try place.program.run("status").output.contains("[log.disk_full]"))
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 143)
        running = try place.program.start("run")
        try place.insert(1)
        try running.wait(for: "an event after a start") { try place.receiver.count == place.count() }
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 143)
    }

    /// With a process, and with none.
    @Test(arguments: [true, false])
    func lettersFillTheDiskAndADiscardOfThemLetsAllGoOn(isRunning: Bool) throws {
        let place = try LetterPlace()
        var running = try place.fillWithLetters()
        try fill(place.disk.path + "/filler")
        place.receiver.status = 200
        if !isRunning {
            running.send(SIGKILL)
            _ = try running.finish()
            try fill(place.disk.path + "/filler")
        }
        let discard = try place.program.run("deadletters", "discard", "@hook", "--yes")
        #expect(discard.exitCode == 0, "\(discard.errors)")
        let words = discard.output.split(separator: " ")
        let discarded = try #require(words.lazy.compactMap { Int($0) }.first, "\(discard.output)")
        if !isRunning { running = try place.program.start("run") }
        try place.insert(50)
        try running.wait(for: "all others") { try place.receiver.count + discarded == place.count() }
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 143)
    }

    private func configuration(_ database: PostgresDatabase, output: String) -> String {
        """
        name: \(database.name)
        source: {postgres: {url: "\(database.url)", tables: [public.orders]}}
        sinks: {archive: {file: {path: "\(output)/{table}.jsonl"}}}
        """
    }

    private func size(_ path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    /// Takes what is left of a disk.
    private func fill(_ path: String) throws {
        if !FileManager.default.fileExists(atPath: path) {
            try #require(FileManager.default.createFile(atPath: path, contents: nil))
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seekToEnd()
        for pieceBytes in [1 << 20, 4096] {
            let piece = Data(count: pieceBytes)
            while (try? file.write(contentsOf: piece)) != nil {}
        }
    }
}

/// A webhook sink whose log is on a small disk.
private struct LetterPlace {
    let disk: SmallDisk
    let receiver: MoodyReceiver
    let program: MillraceProgram

    init() throws {
        disk = try SmallDisk(bytes: 40 << 20)
        receiver = try MoodyReceiver()
        program = try MillraceProgram(
            configuration: """
                name: shop
                source: {sqlite: {path: shop.db}}
                log: {directory: \(disk.path)/state, reserve: 4MiB, retention: {size: 8MiB}}
                sinks:
                  hook:
                    webhook:
                      url: http://127.0.0.1:\(receiver.port)/
                      allow_private_addresses: true
                      retry: {initial: 20ms, max: 200ms}
                """)
        _ = try sql("PRAGMA journal_mode = WAL; CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    }

    /// Has the log fill its disk while the receiver is away, and then the receiver refuse what comes, until letters
    /// have no room. The process runs.
    func fillWithLetters() throws -> ChildProcess {
        receiver.status = 503
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        while !running.errorText.contains("log.disk_full") {
            try #require(try count() < 5000)
            try insert(100)
        }
        receiver.status = 422
        try running.waitForError(containing: "no room to set events of hook aside")
        return running
    }

    /// Commits rows of some kilobytes, five at a time.
    func insert(_ rows: Int) throws {
        let step = "INSERT INTO orders (note) SELECT hex(randomblob(6000)) FROM generate_series(1, 5);\n"
        _ = try sql("PRAGMA busy_timeout = 20000;\n" + String(repeating: step, count: max(1, rows / 5)))
    }

    func count() throws -> Int {
        try #require(Int(sql("SELECT count(*) FROM orders").trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    private func sql(_ script: String) throws -> String {
        let file = try program.folder.write("work.sql", script)
        let result = try runProgram(
            "/usr/bin/sqlite3", ["-batch", "-bail", program.folder.path("shop.db"), ".read '\(file)'"])
        guard result.exitCode == 0 else { throw ChildFailure(description: "sqlite3: \(result.errors)") }
        return result.output
    }
}

/// Answers every request with the same status, which changes now and then, and counts the events that it took.
private final class MoodyReceiver: Sendable {
    private final class State: Sendable {
        let values = Mutex((status: 200, taken: Set<String>()))
    }
    private let state: State
    private let receiver: HTTPReceiver
    var port: Int { receiver.port }
    var count: Int { state.values.withLock { $0.taken.count } }
    var status: Int {
        get { state.values.withLock { $0.status } }
        set { state.values.withLock { $0.status = newValue } }
    }

    init() throws {
        let state = State()
        self.state = state
        receiver = try HTTPReceiver { request in
            state.values.withLock { values in
                if values.status == 200 { values.taken.insert(request.id) }
                return .status(values.status)
            }
        }
    }
}

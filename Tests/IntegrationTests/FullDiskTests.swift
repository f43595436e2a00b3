import Foundation
import ProgramTesting
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

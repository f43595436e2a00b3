import Foundation
import ProgramTesting
import Testing

/// What is done about a stream that somebody deleted.
@Suite(.serialized)
struct StreamReplayTests {
    private let server: NATSServer
    private let reader: StreamReader
    private let program: MillraceProgram

    init() throws {
        server = try NATSServer()
        reader = try StreamReader(server.address)
        program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                sinks:
                  broker:
                    nats: {servers: ["\(server.address)"]}
                """)
        try program.sqlite(
            "shop.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1), (2)")
        try program.catchUp()
        #expect(try reader.messages(of: "shop").count == 2)
        try reader.delete("shop")
        try program.sqlite("shop.db", "INSERT INTO orders VALUES (3)")
    }

    /// It stayed refused, since nothing told that somebody had decided.
    @Test func aReplayFromTheCursorMakesAStreamThatVanished() throws {
        let waiting = try program.run("run", "--until-caught-up", "--patience", "1")
        #expect(waiting.exitCode == 3)
        #expect(waiting.errors.contains("nats.stream_vanished"), "\(waiting.errors)")
        #expect(waiting.errors.contains("millrace replay broker --from earliest"), "\(waiting.errors)")
        let doctor = try program.run("doctor")
        #expect(doctor.exitCode == 3 && doctor.output.contains("[nats.stream_vanished]"), "\(doctor.output)")
        let replay = try program.run("replay", "broker", "--from", "2")
        #expect(replay.exitCode == 0 && replay.output.contains("it was at 2"), "\(replay.output)\(replay.errors)")
        try program.catchUp()
        #expect(try reader.messages(of: "shop").count == 1)
    }

    @Test func soDoesOneBesideARun() throws {
        let running = try program.start("run")
        try running.waitForError(containing: "nats.stream_vanished")
        let replay = try program.run("replay", "broker", "--from", "2")
        #expect(replay.exitCode == 0, "\(replay.output)\(replay.errors)")
        try running.wait(for: "the stream") { (try? reader.messages(of: "shop").count) == 1 }
        running.send(SIGTERM)
        _ = try running.finish()
        // It is no decision for the next time.
        try reader.delete("shop")
        try program.sqlite("shop.db", "INSERT INTO orders VALUES (4)")
        let waiting = try program.run("run", "--until-caught-up", "--patience", "1")
        #expect(waiting.errors.contains("nats.stream_vanished"), "\(waiting.errors)")
    }
}

import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

/// The closing proof: whatever happens to the program and to the server while the tables are written to in every way,
/// in the end the events say what the tables hold.
///
/// `MILLRACE_SOAK_ROUNDS=500` makes it long; `MILLRACE_SEED=n` repeats a run as far as the timing allows.
@Suite(.serialized)
struct RandomWorkloadTests {
    @Test func aRandomWorkloadWithKillsAndRestartsEndsWithoutADifference() throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["MILLRACE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let rounds = environment["MILLRACE_SOAK_ROUNDS"].flatMap { Int($0) } ?? 6
        var trial = try WorkloadTrial(seed: seed)
        for round in 0..<rounds { try trial.round(round) }
        try trial.finish()
    }
}

/// A server of its own, the program, and what happens to both.
struct WorkloadTrial {
    private let server: OwnServer
    private let program: MillraceProgram
    private var random: SeededGenerator
    private let seed: UInt64
    private var events: [String] = []
    /// Where the program is stopped dead; in the other rounds it is killed at any moment.
    private static let points = [
        "log.appended", "log.synced", "postgres.before_feedback", "file.torn_write", "file.before_sync",
        "file.after_sync", "sink.durable", "schema.before_rename", "snapshot.before_low", "snapshot.chunk_read",
        "snapshot.before_high", "snapshot.chunk_emitted",
    ]

    private enum Trouble: CaseIterable {
        case kill, killAtPoint, restart, crash, cut, nothing
    }

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        server = try OwnServer(settings: ["fsync = off", "logical_decoding_work_mem = 64kB"])
        try server.sql(PostgresWorkload.schema)
        program = try MillraceProgram(
            configuration: """
                name: storm
                source:
                  postgres:
                    url: \(server.url)
                    tables: [\(PostgresWorkload.tables.map { "public.\($0)" }.joined(separator: ", "))]
                sinks:
                  all:
                    file: {path: out/all.jsonl}
                """)
        // Rows that are there before capture begins.
        _ = try write(seed: seed &+ 2_000_000).finish()
        try program.catchUp()
    }

    /// Three sessions write while one trouble happens.
    mutating func round(_ number: Int) throws {
        let trouble =
            number < Trouble.allCases.count
            ? Trouble.allCases[number] : Trouble.allCases.randomElement(using: &random) ?? .kill
        events.append("round \(number): \(trouble)")
        let point = Self.points.randomElement(using: &random) ?? "log.appended"
        let count = Int.random(in: 1...4, using: &random)
        let isStopped = trouble == .killAtPoint
        if isStopped || Bool.random(using: &random), let table = PostgresWorkload.tables.randomElement(using: &random) {
            #expect(try program.run("snapshot", "public.\(table)", "--wait", "0").exitCode == 0)
        }
        let running = try program.start("run", haltAt: isStopped ? "\(point):\(count)" : nil)
        let writers = try (0..<3).map { try write(seed: seed &+ UInt64(number * 3 + $0)) }
        let reached = Int.random(in: 1...300, using: &random)
        let before = deliveredBytes
        try running.wait(for: "progress (\(description))") {
            if isStopped && running.errorText.contains("halted at") { return true }
            return !isStopped && deliveredBytes >= before + reached * 200 || writers.allSatisfy { !$0.isRunning }
        }
        switch trouble {
        case .kill, .killAtPoint: running.kill()
        case .restart: try server.restart(.fast)
        case .crash: try server.restart(.immediate)
        case .cut:
            try server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        case .nothing: try expectNoDifference("while it is written to")
        }
        for writer in writers { _ = try writer.finish() }
        if running.isRunning {
            running.send(SIGTERM)
            _ = try running.finish()
        }
    }

    /// Runs to the end and compares, by `verify` and by the events in the file.
    mutating func finish() throws {
        let last = try write(seed: seed &+ 1_000_000)
        _ = try last.finish()
        try expectNoDifference("before the last run")
        try program.catchUp()
        let result = try expectNoDifference("at the end")
        for table in PostgresWorkload.tables where table != "changing" {
            // The tables were empty when capture began: every row must have its event, and every value of it.
            let found = result.table("public.\(table)")
            #expect(found["rows_without_event"] as? Int == 0, "\(table), \(description)")
            #expect(found["rows_equal"] as? Int == found["rows"] as? Int, "\(table), \(description)")
            #expect(found["events"] as? Int ?? 0 > 20, "\(table) was hardly written to, \(description)")
        }
        try expectFileFoldsToTables()
    }

    @discardableResult
    private func expectNoDifference(_ moment: Comment) throws -> VerifyResult {
        let result = try program.verify()
        #expect(result.code == 0 && result.isEqual, "\(moment), \(description): \(result.text.prefix(4000))")
        return result
    }

    /// The other witness: events as a consumer reads them, folded by other code.
    private func expectFileFoldsToTables() throws {
        // Foundation cannot read every number that JSON may have.
        let text = try String(contentsOfFile: program.folder.path("out/all.jsonl"), encoding: .utf8)
        let lines = text.split(separator: "\n").filter { !$0.contains("\"table\":\"every_type\"") }
        let events = try Event.parse(lines: lines.joined(separator: "\n") + "\n")
        #expect(events.map(\.sequence) == events.map(\.sequence).sorted(), "\(description)")
        #expect(Set(events.map(\.id)).count == events.count, "an event stands twice, \(description)")
        let folded = FoldedTables(events.filter { $0.table != "public.loose" })
        #expect(folded.contradictions == [], "\(description)")
        let orders = try server.rows("SELECT id, status, amount::text, note, big FROM orders")
        #expect(
            Set(folded.table("public.orders").values.map(Self.text)) == Set(orders.map(Self.text)), "\(description)")
        let pairs = try server.rows("SELECT * FROM pairs")
        #expect(Set(folded.table("public.pairs").values.map(Self.text)) == Set(pairs.map(Self.text)), "\(description)")
        let parts = try server.rows("SELECT * FROM parts")
        #expect(Set(folded.table("public.parts").values.map(Self.text)) == Set(parts.map(Self.text)), "\(description)")
    }

    private static func text(_ row: [String: AnyHashable]) -> String {
        row.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "|")
    }

    private func write(seed: UInt64) throws -> ChildProcess {
        var workload = PostgresWorkload(seed: seed)
        let file = try program.folder.write("work-\(seed).sql", workload.script(transactions: 60))
        return try ChildProcess("/usr/bin/psql", ["-X", "-q", "-d", server.url, "-f", file])
    }

    private var deliveredBytes: Int {
        let size = try? FileManager.default.attributesOfItem(atPath: program.folder.path("out/all.jsonl"))[.size]
        return size as? Int ?? 0
    }

    private var description: String { "seed \(seed), \(events.joined(separator: ", "))" }
}

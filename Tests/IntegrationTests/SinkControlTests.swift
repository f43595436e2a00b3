import Foundation
import ProgramTesting
import Testing

/// What people do with sinks of the program: reload them, move their cursors, name what is not there.
struct SinkControlTests {
    private static func configuration(_ sinks: String...) -> String {
        """
        name: shop
        source:
          sqlite: {path: shop.db}
        sinks:
        \(sinks.map { "  \($0): {file: {path: \"\($0).jsonl\"}}" }.joined(separator: "\n"))
        """
    }

    private func program() throws -> MillraceProgram {
        let program = try MillraceProgram(configuration: Self.configuration("one"))
        try program.sqlite(
            "shop.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1), (2), (3)")
        return program
    }

    private func count(_ file: String, _ program: MillraceProgram) throws -> Int {
        try program.events(in: file, ignoringTornEnd: true).count
    }

    @Test func aReloadBeginsAndEndsSinksAndABrokenFileChangesNothing() throws {
        let program = try program()
        let run = try program.start("run")
        try run.wait(for: "the first sink") { try count("one.jsonl", program) == 3 }
        try program.folder.write("millrace.yaml", Self.configuration("one", "two") + "\nsniks: {}\n")
        run.send(SIGHUP)
        try run.waitForError(containing: "the configuration was not reloaded")
        #expect(run.errorText.contains("code=config.unknown_key") && !run.errorText.contains("ConfigurationProblem"))
        try program.folder.write("millrace.yaml", Self.configuration("two"))
        run.send(SIGHUP)
        try run.waitForError(containing: "configuration reloaded")
        #expect(run.errorText.contains("begin=two") && run.errorText.contains("end=one"), "\(run.errorText)")
        try run.wait(for: "the second sink") { try count("two.jsonl", program) == 3 }
        // The first one ends within a moment, and what comes then is not its own any more.
        try run.wait(for: "the end of the first sink") {
            let wanted = try count("two.jsonl", program) + 1
            try program.sqlite("shop.db", "INSERT INTO orders VALUES (NULL)")
            try run.wait(for: "the row") { try count("two.jsonl", program) >= wanted }
            return try count("one.jsonl", program) < count("two.jsonl", program)
        }
        run.send(SIGTERM)
        #expect(try run.finish().exitCode == 128 + SIGTERM)
    }

    /// They were counted as if they waited, for ever.
    @Test func eventsThatRetentionRemovedBehindACursorAreNotSaidToWait() throws {
        let program = try program()
        let stuck = "\n  stuck: {webhook: {url: \"http://127.0.0.1:9/\", allow_private_addresses: true}}"
        try program.folder.write(
            "millrace.yaml",
            Self.configuration("one") + stuck + "\nlog: {retention: {age: 1s, undelivered: drop}}\n")
        let run = try program.start("run")
        var answer = ""
        var (status, log): ([String: Any], [String: Any]) = ([:], [:])
        try run.wait(for: "retention") {
            answer = try program.run("status", "--json").output
            status = (try? JSONSerialization.jsonObject(with: Data(answer.utf8))) as? [String: Any] ?? [:]
            log = status["log"] as? [String: Any] ?? [:]
            return log["first_offset"] as? Int == 3
        }
        let sink = try #require((status["sinks"] as? [[String: Any]])?.first { $0["name"] as? String == "stuck" })
        #expect(log["next_offset"] as? Int == 3 && sink["cursor"] as? Int == 0)
        #expect(sink["removed_events"] as? Int == 3 && sink["lag_events"] as? Int == 0, "\(answer)")
        #expect(try program.run("status").output.contains("3 events behind its cursor removed by retention"))
        run.send(SIGTERM)
        _ = try run.finish()
    }

    @Test func aFullLogIsNamedAndEndsWhenTheSinkThatFillsItIsTakenOut() throws {
        let log = "\nlog: {limit: 1MiB}\n"
        let program = try program()
        try program.sqlite("shop.db", "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)")
        let stuck = "\n  stuck: {webhook: {url: \"http://127.0.0.1:9/\", allow_private_addresses: true}}"
        try program.folder.write("millrace.yaml", Self.configuration("one") + stuck + log)
        let run = try program.start("run")
        try run.waitForError(containing: "capturing")
        try run.wait(for: "a full log") {
            try program.sqlite("shop.db", "INSERT INTO notes VALUES (NULL, hex(zeroblob(20000)))")
            return run.errorText.contains("code=log.full")
        }
        #expect(try program.run("status").output.contains("[log.full]"))
        #expect(try program.run("status", "--json").output.contains("\"log.full\""))
        #expect(try program.run("doctor").output.contains("[log.full]"))
        try program.folder.write("millrace.yaml", Self.configuration("one") + log)
        run.send(SIGHUP)
        let rows = try program.sqlite("shop.db", "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM notes)")
        try run.wait(for: "all rows") { try count("one.jsonl", program) == Int(rows.trimmingCharacters(in: .newlines)) }
        #expect(try !program.run("status").output.contains("[log.full]"))
        run.send(SIGTERM)
        #expect(try run.finish().exitCode == 128 + SIGTERM)
    }

    /// What the system does with a SIGHUP by itself is to end the process.
    @Test func aReloadWhileTheProgramBeginsEndsNothing() throws {
        let program = try program()
        let file = program.folder.path("millrace.yaml")
        try FileManager.default.removeItem(atPath: file)
        try #require(mkfifo(file, 0o600) == 0)
        let run = try program.start("run")
        // It reads its configuration, and stands there until somebody writes one.
        var pipe: Int32 = -1
        try run.wait(for: "the start") {
            pipe = open(file, O_WRONLY | O_NONBLOCK)
            return pipe >= 0
        }
        for _ in 0..<100 { run.send(SIGHUP) }
        // A pipe that nobody reads ends whoever writes to it.
        let other = open(file, O_RDONLY | O_NONBLOCK)
        let text = Array(Self.configuration("one").utf8)
        #expect(write(pipe, text, text.count) == text.count)
        close(pipe)
        close(other)
        try run.wait(for: "the rows") { try count("one.jsonl", program) == 3 }
        run.send(SIGTERM)
        #expect(try run.finish().exitCode == 128 + SIGTERM)
    }

    @Test func aReplayIsTheSameBesideARunAndWithout() throws {
        let program = try program()
        try program.catchUp()
        #expect(try program.run("replay", "one", "--from", "1").exitCode == 0)
        try program.catchUp()
        #expect(try count("one.jsonl", program) == 5)
        let run = try program.start("run")
        try run.waitForError(containing: "capturing")
        let asked = try program.run("replay", "one", "--from", "earliest")
        #expect(asked.exitCode == 0 && asked.output.contains("it was at 3"), "\(asked.output) \(asked.errors)")
        try run.wait(for: "the second replay") { try count("one.jsonl", program) == 8 }
        for (arguments, code) in [
            (["replay", "one", "--from", "99"], "replay.not_in_log"),
            (["replay", "none", "--from", "0"], "config.unknown_sink"),
            (["deadletters", "show", "nothing"], "deadletters.unknown"),
        ] {
            let refused = try runProgram(MillraceProgram.executable, arguments, folder: program.folder.url)
            #expect(refused.exitCode == 2 && refused.errors.contains("error[\(code)]"), "\(refused.errors)")
        }
        run.send(SIGTERM)
        _ = try run.finish()
        #expect(try program.run("replay", "one", "--from", "99").exitCode == 2)
        #expect(try program.run("replay", "one", "--from", "0").exitCode == 0)
        let ahead = try program.run("replay", "one", "--from", "latest")
        #expect(ahead.exitCode == 2 && ahead.errors.contains("error[replay.would_skip]"))
        #expect(try program.run("replay", "one", "--from", "latest", "--skip").exitCode == 0)
        #expect(try program.run("tail", "nothing").errors.contains("no events of nothing"))
    }
}

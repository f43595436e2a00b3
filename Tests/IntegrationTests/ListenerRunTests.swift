import Foundation
import ProgramTesting
import Testing

/// The HTTP listener of `millrace run`.
@Suite(.serialized)
struct ListenerRunTests {
    private let token = "0123456789abcdef-token"

    private func shop(_ server: String) throws -> MillraceProgram {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                sinks:
                  archive:
                    file: {path: "out/{table}.jsonl"}
                \(server)
                """)
        try program.sqlite("shop.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT)")
        return program
    }

    private func wait(_ process: ChildProcess, for count: Int, in program: MillraceProgram) throws {
        try process.wait(for: "\(count) events") {
            try program.events(in: "out/orders.jsonl", ignoringTornEnd: true).count == count
        }
    }

    @Test func statusAndMetricsTellWhatTheCommandLineTells() throws {
        let program = try shop("server: {listen: \"127.0.0.1:0\"}")
        try program.sqlite("shop.db", "INSERT INTO orders VALUES (1, 'new'), (2, 'new')")
        let process = try program.start("run")
        let client = HTTPClient(port: try process.waitForListener())
        try wait(process, for: 2, in: program)
        try process.wait(for: "a sink without a lag") {
            try client.ask("GET", "/v1/status").body.contains(#""lag_events":0"#)
        }
        let answer = try client.ask("GET", "/v1/status")
        let status = try program.run("status", "--json")
        #expect(answer.fields["content-type"] == "application/json")
        let (over, beside) = (answer.object, HTTPAnswer(Array("HTTP/1.1 200 OK\r\n\r\n\(status.output)".utf8))?.object)
        #expect(over.keys.sorted() == beside?.keys.sorted())
        for part in ["name", "source", "dead_letters"] { #expect(over[part] == beside?[part], "\(part)") }
        let metrics = try client.ask("GET", "/metrics")
        #expect(metrics.fields["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        for line in [
            "millrace_capturing 1", "millrace_captured_changes_total 2", "millrace_log_next_offset 2",
            "millrace_sink_lag_events{sink=\"archive\"} 0", "millrace_sink_offset{sink=\"archive\"} 2",
            "millrace_source_answers 1",
        ] {
            #expect(metrics.body.contains("\n\(line)\n"), "\(line): \(metrics.body)")
        }
        for line in metrics.body.split(separator: "\n") {
            #expect(line.hasPrefix("# ") || line.wholeMatch(of: /[a-z_]+(\{[^}]*\})? -?[0-9.]+/) != nil, "\(line)")
        }
        #expect(try client.ask("GET", "/subjects").body == #"["shop.main.orders"]"#, "the contracts of tables too")
        process.send(SIGTERM)
        #expect(try process.finish().exitCode == 143)
    }

    @Test func healthNeedsNoTokenAndEverythingElseDoes() throws {
        let program = try shop("server: {listen: \"127.0.0.1:0\", token: \(token)}")
        let process = try program.start("run")
        let client = HTTPClient(port: try process.waitForListener())
        try process.waitForError(containing: "capturing")
        #expect(try client.ask("GET", "/healthz").body == #"{"status":"ok"}"#)
        try process.wait(for: "readiness") { try client.ask("GET", "/readyz").body == #"{"status":"ready"}"# }
        #expect(try client.ask("HEAD", "/healthz").status == 200)
        for target in [
            "/v1/status", "/metrics", "/subjects", "/nowhere", "/", "/healthz/x", "/subjects?token=\(token)",
        ] {
            let answer = try client.ask("GET", target)
            #expect(answer.status == 401 && answer.errorCode == 401, "\(target)")
            #expect(answer.fields["www-authenticate"]?.contains("Bearer") == true)
            #expect(!answer.body.contains(token))
        }
        #expect(try client.ask("PATCH", "/subjects").status == 401)
        #expect(try client.ask("GET", "/v1/status", fields: ["Authorization: Bearer \(token)"]).status == 200)
        #expect(try client.ask("GET", "/subjects", fields: ["Authorization: Bearer \(token)x"]).status == 401)
        process.send(SIGTERM)
        let result = try process.finish()
        #expect(!result.errors.contains(token))
    }

    @Test func readinessFollowsTheSource() throws {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  postgres: {url: "postgresql://nobody@127.0.0.1:1/none", tables: ["*"]}
                server: {listen: "127.0.0.1:0"}
                """)
        let process = try program.start("run")
        let client = HTTPClient(port: try process.waitForListener())
        try process.wait(for: "the reason") {
            let answer = try client.ask("GET", "/readyz")
            return answer.status == 503 && answer.object["code"] == "postgres.connection_failed" as NSString
        }
        #expect(try client.ask("GET", "/healthz").status == 200, "a restart would not help")
        let status = try client.ask("GET", "/v1/status")
        #expect(status.status == 200 && status.body.contains("postgres.connection_failed"))
        process.send(SIGTERM)
        _ = try process.finish()
    }

    @Test func aPortThatIsTakenStopsTheStart() throws {
        let first = try shop("server: {listen: \"127.0.0.1:0\"}")
        let process = try first.start("run")
        let port = try process.waitForListener()
        let second = try shop("server: {listen: \"127.0.0.1:\(port)\"}")
        for command in [["run"], ["schema", "serve"]] {
            let result = try runProgram(MillraceProgram.executable, command, folder: second.folder.url)
            #expect(result.exitCode == 3)
            #expect(result.errors.contains("error[http.address_in_use]"), "\(result.errors)")
            #expect(result.errors.contains("server.listen, millrace.yaml:7:18"), "\(result.errors)")
        }
        let nowhere = try shop("server: {listen: \"192.0.2.1:0\", token: \(token)}").run("run")
        #expect(nowhere.exitCode == 3 && nowhere.errors.contains("error[http.listen]"), "\(nowhere.errors)")
        process.send(SIGTERM)
        #expect(try process.finish().exitCode == 143)
    }

    @Test func withoutTheSectionNothingListens() throws {
        let program = try shop("")
        let process = try program.start("run")
        try process.waitForError(containing: "capturing")
        let folder = "/proc/\(process.id)"
        let open = try FileManager.default.contentsOfDirectory(atPath: folder + "/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/fd/\($0)")
        }
        #expect(open.count > 3)
        for table in ["tcp", "tcp6"] {
            // Of each socket the state (0A: listening) is the fourth word, and the number the tenth.
            for line in try String(contentsOfFile: "\(folder)/net/\(table)", encoding: .utf8).split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count > 9, words[3] == "0A" else { continue }
                #expect(!open.contains("socket:[\(words[9])]"), "\(line)")
            }
        }
        process.send(SIGTERM)
        _ = try process.finish()
        #expect(!process.errorText.contains("listening for HTTP"))
    }

    @Test func addressesThatOthersReachNeedAToken() throws {
        let program = try shop("")
        let refused = try program.run("schema", "serve", "--listen", "0.0.0.0:0")
        #expect(refused.exitCode == 2 && refused.errors.contains("error[http.no_token]"), "\(refused.errors)")
        for (address, wrong) in [
            ("example.org:80", "\"example.org\" is no IP address"), ("localhost", "\"localhost\" has no port"),
            ("[::1]", "has no port"), ("127.0.0.1:x", "\"x\" is no port"), ("127.0.0.1:70000", "\"70000\" is no port"),
            ("::1:80", "in brackets"), ("", "has no port"),
        ] {
            let refused = try program.run("schema", "serve", "--listen", address)
            #expect(refused.exitCode == 2 && refused.errors.contains(wrong), "\(address): \(refused.errors)")
            #expect(refused.errors.contains("127.0.0.1:8642"), "\(refused.errors)")
        }
        let configured = try shop("server: {listen: \"0.0.0.0:0\"}").run("run")
        #expect(configured.exitCode == 2 && configured.errors.contains("error[config.missing_key]"))
    }

    /// The finding was that the message did not say what to write.
    @Test func localhostIsAnAddressToListenOn() throws {
        let program = try shop("")
        let process = try program.start("schema", "serve", "--listen", "localhost:0")
        #expect(try HTTPClient(port: try process.waitForListener()).ask("GET", "/healthz").status == 200)
        process.send(SIGTERM)
        _ = try process.finish()
    }

    /// When there are no descriptors left, the listener may die of it, and nothing else.
    @Test func captureGoesOnWhenTheListenerIsLost() throws {
        let program = try shop("server: {listen: \"127.0.0.1:0\"}")
        try program.sqlite("shop.db", "INSERT INTO orders VALUES (1, 'new')")
        let process = try program.start("run")
        let port = try process.waitForListener()
        try wait(process, for: 1, in: program)
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.id)/fd").compactMap { Int($0) }
        func limit(_ count: Int) throws {
            let result = try runProgram("/usr/bin/prlimit", ["--pid", "\(process.id)", "--nofile=\(count):1024"])
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        try limit((open.max() ?? 0) + 1)
        let taken = try (0..<4).map { _ in try HTTPConnection(port: port) }
        try program.sqlite("shop.db", "INSERT INTO orders VALUES (2, 'new')")
        try wait(process, for: 2, in: program)
        try limit(1024)
        withExtendedLifetime(taken) {}
        try process.wait(for: "an answer") { (try? HTTPClient(port: port).ask("GET", "/healthz"))?.status == 200 }
        process.send(SIGTERM)
        #expect(try process.finish().exitCode == 143)
        #expect(try program.events(in: "out/orders.jsonl").count == 2)
    }

    @Test func theEndOfTheRunWaitsForNoClient() throws {
        let program = try shop("server: {listen: \"127.0.0.1:0\"}")
        let process = try program.start("run")
        let port = try process.waitForListener()
        let idle = try HTTPConnection(port: port)
        let half = try HTTPConnection(port: port)
        half.send("POST /subjects/s/versions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        try process.waitForError(containing: "capturing")
        process.send(SIGTERM)
        #expect(try process.finish().exitCode == 143)
        #expect(try idle.receiveAll().isEmpty)
        withExtendedLifetime(half) {}
    }
}

import Foundation
import ProgramTesting
import Testing

/// A webhook sink as a user runs it.
@Suite(.serialized)
struct WebhookRunTests {
    static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    static let nextSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

    private static func program(_ sinks: String, server: String = "") throws -> MillraceProgram {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                \(server)
                sinks:
                \(sinks)
                """)
        try sql(
            program,
            """
            CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT);
            INSERT INTO orders VALUES (1, 'new'), (2, 'pr\u{f6}st "x" 100%'), (3, NULL);
            """)
        return program
    }

    private static func sql(_ program: MillraceProgram, _ script: String) throws {
        try program.sqlite("shop.db", script)
    }

    private static func sink(_ name: String, _ receiver: HTTPReceiver, _ more: String = "") -> String {
        """
          \(name):
            webhook:
              url: http://127.0.0.1:\(receiver.port)/\(name)?token=SECRET-TOKEN
              allow_private_addresses: true
              retry: {initial: 5ms, max: 50ms}
              failures_until_pause: 3
        \(more)
        """
    }

    /// The checks are in `WebhookClient/webhook_client.py`; `scripts/test` fetches the clients.
    @Test func clientsOfStandardWebhooksAndCloudEventsAcceptWhatIsSent() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
        let python = root.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: ".build/webhook-client/bin/python").path
        try #require(
            FileManager.default.isExecutableFile(atPath: python), "run scripts/test once: it fetches the clients")
        let receiver = try HTTPReceiver { _ in .status(202) }
        let signed = "      secret: \(Self.secret)\n      further_secrets: [\"\(Self.nextSecret)\"]\n      mode: "
        let program = try Self.program(
            ["structured", "binary", "batch"].map { Self.sink($0, receiver, signed + $0) }.joined(separator: "\n"))
        try program.catchUp()
        try Self.sql(program, "UPDATE orders SET id = 9 WHERE id = 1; DELETE FROM orders WHERE id = 2;")
        try program.catchUp()
        let lines = try receiver.requests.map { request in
            let object: [String: Any] = [
                "path": request.line, "headers": request.fields, "body": Data(request.body).base64EncodedString(),
            ]
            return String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self)
        }
        let file = try program.folder.write("requests.jsonl", lines.joined(separator: "\n") + "\n")
        let result = try runProgram(
            python,
            [root.appending(path: "WebhookClient/webhook_client.py").path, file, Self.secret, Self.nextSecret])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output == "structured 5\nbinary 5\nbatch 5\n", "\(result.output)")
    }

    @Test func anEndpointThatIsDownIsShownAndDoesNotKeepTheProgramFromEnding() throws {
        let receiver = try HTTPReceiver { $0.number < 200 ? .status(503) : .status(204) }
        let program = try Self.program(Self.sink("partner", receiver))
        let run = try program.start("run")
        try run.waitForError(containing: "webhook.unavailable")
        try run.wait(for: "the failure in status") {
            let status = try program.run("status")
            return status.output.contains("webhook.unavailable")
        }
        run.send(SIGTERM)
        #expect(try run.finish().exitCode == 128 + SIGTERM)
        #expect(receiver.requests.count < 200)
        #expect(!run.errorText.contains("SECRET-TOKEN"))
        try program.catchUp()
        #expect(Set(receiver.requests.map(\.id)).count == 3)
        #expect(try program.run("status").output.contains("webhook.unavailable") == false)
    }

    @Test func aKeyThatTheEndpointDoesNotTakeHoldsUpNoOther() throws {
        let receiver = try HTTPReceiver { $0.text.contains(#""subject":"2""#) ? .status(500) : .status(204) }
        // With so many lanes, none of these keys shares one with row 2.
        let program = try Self.program(Self.sink("partner", receiver, "      concurrency: 64"))
        let run = try program.start("run")
        try run.wait(for: "the other rows") { Set(receiver.requests.map(\.id)).count == 3 }
        try run.wait(for: "the failure in status") {
            try program.run("status").output.contains("webhook.unavailable")
        }
        for id in 10..<30 {
            try Self.sql(program, "INSERT INTO orders VALUES (\(id), 'later')")
            try run.wait(for: "row \(id)") { receiver.requests.contains { $0.text.contains(#""subject":"\#(id)""#) } }
        }
        // The row that fails does so still, whatever else is delivered.
        #expect(try program.run("status").output.contains("webhook.unavailable"))
        #expect(!run.errorText.contains("NOTICE sink works again"))
        run.send(SIGTERM)
        #expect(try run.finish().exitCode == 128 + SIGTERM)
    }

    @Test func aRefusedEventIsADeadLetterAndIsRetriedOnceTheEndpointTakesIt() throws {
        let taking = Flag()
        let receiver = try HTTPReceiver {
            !taking.isSet && $0.text.contains(#""subject":"2""#) ? .status(422, body: "row 2 is bad") : .status(204)
        }
        let program = try Self.program(Self.sink("partner", receiver))
        try program.catchUp()
        let list = try program.run("deadletters", "list")
        #expect(list.output.contains("@partner"), "\(list.output)")
        let shown = try program.run("deadletters", "show", "@partner")
        #expect(shown.output.contains("webhook.refused") && !shown.output.contains("row 2 is bad"), "\(shown.output)")
        taking.set()
        let run = try program.start("run")
        let retry = try program.run("deadletters", "retry", "@partner")
        #expect(retry.exitCode == 0, "\(retry.output) \(retry.errors)")
        run.send(SIGTERM)
        #expect(try run.finish().exitCode == 128 + SIGTERM)
        #expect(receiver.requests.filter { $0.text.contains(#""subject":"2""#) }.count == 2)
        let left = try program.run("deadletters", "list")
        #expect(left.output.contains("nothing waits"), "\(left.output) \(run.errorText)")
    }

    /// Its end was the end of everything, and a later SIGTERM an exit with its code.
    @Test func anEndpointThatWantsNoMoreEndsNeitherCaptureNorReadersAndAReloadBringsItBack() throws {
        let taking = Flag()
        let receiver = try HTTPReceiver {
            $0.text.contains("goodbye") || !taking.isSet ? .status(410) : .status(204)
        }
        let program = try Self.program(
            Self.sink("partner", receiver, "      concurrency: 1"), server: "server: {listen: \"127.0.0.1:0\"}")
        let ended = try program.run("run", "--until-caught-up")
        #expect(ended.exitCode == 3 && ended.errors.contains("error[webhook.gone]"), "\(ended.errors)")
        #expect(ended.errors.contains("sinks.partner.webhook.url, millrace.yaml:"), "\(ended.errors)")
        let run = try program.start("run")
        let client = HTTPClient(port: try run.waitForListener())
        let loud = "no sink delivers any more"
        try run.waitForError(containing: loud)
        try Self.sql(program, "INSERT INTO orders VALUES (4, 'without sinks')")
        try run.wait(for: "capture") {
            try client.ask("GET", "/v1/events?follow=false&format=row").body.contains("without sinks")
        }
        #expect(try client.ask("GET", "/healthz").status == 200)
        let ready = try client.ask("GET", "/readyz")
        #expect(
            ready.status == 200 && ready.body == #"{"status":"ready","stopped_sinks":["partner"]}"#, "\(ready.body)")
        #expect(try client.ask("GET", "/metrics").body.contains("\nmillrace_sink_stopped{sink=\"partner\"} 1\n"))
        try run.wait(for: "the status") {
            try client.ask("GET", "/v1/status").body.contains(#""stopped":true"#)
        }
        let status = try program.run("status").output
        #expect(status.contains("NO SINK DELIVERS") && status.contains("[webhook.gone]"), "\(status)")
        // Reloaded in vain, and then with success.
        run.send(SIGHUP)
        try run.wait(for: "the second end") { run.errorText.components(separatedBy: loud).count == 3 }
        taking.set()
        run.send(SIGHUP)
        try run.wait(for: "delivery") { receiver.requests.contains { $0.text.contains("without sinks") } }
        try run.wait(for: "a status without sinks that stopped") {
            try client.ask("GET", "/v1/status").body.contains(#""stopped":false"#)
        }
        #expect(try client.ask("GET", "/readyz").body == #"{"status":"ready"}"#)
        try Self.sql(program, "INSERT INTO orders VALUES (5, 'goodbye')")
        try run.wait(for: "the third end") { run.errorText.components(separatedBy: loud).count == 4 }
        run.send(SIGTERM)
        let result = try run.finish()
        #expect(result.exitCode == 128 + SIGTERM, "\(result.errors)")
        #expect(!result.errors.contains("error[webhook.gone]"), "what was said when it happened")
        let left = try program.run("run", "--until-caught-up")
        #expect(left.exitCode == 3 && left.errors.contains("error[webhook.gone]"), "\(left.errors)")
    }

    @Test func doctorConnectsAndSendsNothing() throws {
        let receiver = try HTTPReceiver { _ in .status(204) }
        let program = try Self.program(Self.sink("partner", receiver))
        let found = try program.run("doctor")
        #expect(found.output.contains("can be connected to") && found.output.contains("webhook.unsigned"), "\(found)")
        #expect(receiver.connectionCount == 1 && receiver.requests.isEmpty)
        receiver.stop()
        #expect(try program.run("doctor").output.contains("webhook.connection_failed"))
    }
}

/// Something that happens once.
private final class Flag: @unchecked Sendable {
    private let lock = DispatchQueue(label: "flag")
    private var value = false

    var isSet: Bool { lock.sync { value } }
    func set() { lock.sync { value = true } }
}

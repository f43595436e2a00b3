import Foundation
import ProgramTesting
import Testing

/// Clearances over SQLite, and classes that come while the program runs.
@Suite(.serialized)
struct SQLiteClearanceTests {
    private let program: MillraceProgram

    init() throws {
        program = try MillraceProgram(configuration: Self.configuration(clearance: "[public, internal]"))
        try sql(
            """
            CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, card, note TEXT);
            CREATE TABLE accounts (iban TEXT PRIMARY KEY, owner TEXT);
            INSERT INTO customers VALUES (0, NULL, NULL, NULL); INSERT INTO accounts VALUES ('x', 'y')
            """)
    }

    private static func configuration(clearance: String, more: String = "") -> String {
        """
        name: shop
        mask_salt: salt-of-the-test-0123
        source:
          sqlite: {path: shop.db}
        sinks:
          all:
            file: {path: out/all.jsonl}
            clearance: [public, internal, confidential, restricted]
          some:
            file: {path: out/some.jsonl}
            clearance: \(clearance)
          rows:
            file: {path: out/rows.jsonl}
            format: row
        \(more)
        """
    }

    private func sql(_ text: String) throws { try program.sqlite("shop.db", text) }

    @Test func noUnclearedValueOfSQLiteReachesAnyOutput() throws {
        try program.catchUp()
        try program.classify("shop.main.customers", ["email": "confidential", "card": "restricted"])
        try program.classify("shop.main.accounts", ["iban": "restricted", "owner": "confidential"])
        let (r, c) = (Marker.restricted, Marker.confidential)
        try sql(
            """
            INSERT INTO customers VALUES (1, '\(c.value("1"))', '\(r.value("1"))', 'n');
            UPDATE customers SET card = x'\(r.rawValue.utf8.map { String($0, radix: 16) }.joined())' WHERE id = 1;
            INSERT OR REPLACE INTO customers VALUES (1, '\(c.value("2"))', 5, 'm');
            UPDATE customers SET id = 4 WHERE id = 1;
            DELETE FROM customers WHERE id = 4;
            INSERT INTO accounts VALUES ('\(r.value("2"))', '\(c.value("3"))');
            UPDATE accounts SET iban = '\(r.value("3"))' WHERE owner LIKE 'w%';
            DELETE FROM accounts WHERE iban LIKE 'z%';
            INSERT INTO accounts VALUES ('\(r.value("4"))', '\(c.value("4"))')
            """)
        var said = [try program.run("run", "--until-caught-up")]
        for command in ["tail", "status", "doctor", "verify"] { said.append(try program.run(command)) }
        said.append(try program.run("verify", "--show-keys"))
        #expect(said.map(\.exitCode) == [0, 0, 0, 0, 0, 0], "\(said)")
        for result in said { #expect(Marker.found(in: result.output + result.errors) == [], "\(result)") }
        #expect(try program.markers() == ["out/all.jsonl": [.restricted, .confidential]])
        let doctor = said[3].output
        #expect(doctor.contains("sink some does not see main.accounts.iban (restricted: hash)"), "\(doctor)")
        // Whoever asks for it sees it.
        let tail = try program.run("tail", "accounts", "--clearance", "confidential")
        #expect(Marker.found(in: tail.output) == [.confidential])
        #expect(try program.run("tail", "--clearance", "everything").exitCode == 2)
    }

    @Test func aClassHoldsForOldEventsAndIsNotLostWithLaterVersions() throws {
        try sql("INSERT INTO customers VALUES (1, 'ada', '\(Marker.restricted.value("1"))', 'n')")
        try program.catchUp()
        #expect(Marker.found(in: try program.run("tail").output) == [.restricted], "nothing is classified yet")
        try program.classify("shop.main.customers", ["card": "restricted"])
        #expect(Marker.found(in: try program.run("tail").output) == [], "the event is older than the class")
        #expect(
            try program.run("schema", "classes").output.contains("shop.main.customers card: restricted, drop for some"))
        // The next form comes from the table, which knows nothing of classes.
        try sql(
            "ALTER TABLE customers ADD COLUMN more TEXT; UPDATE customers SET card = '\(Marker.restricted.value("2"))'")
        try program.catchUp()
        let path = program.folder.path("Schemas/shop.main.customers/v3.schema.json")
        #expect(try String(contentsOfFile: path, encoding: .utf8).contains(#""x-sensitivity": "restricted""#))
        let events = try program.events(in: "out/some.jsonl")
        let later = events.filter { $0.version == 3 }
        #expect(!later.isEmpty && later.allSatisfy { $0.after != nil && $0.after?["card"] == nil })
        #expect(!Marker.restricted.isIn(Data(try program.run("tail").output.utf8)))
        // A version that somebody writes without the class takes nothing back.
        let plain = try String(contentsOfFile: path, encoding: .utf8).replacing(
            #""x-sensitivity": "restricted""#, with: #""x-note": 1"#)
        try program.folder.write("Schemas/shop.main.customers/v4.schema.json", plain)
        #expect(Marker.found(in: try program.run("tail").output) == [])
    }

    @Test func aClassIsObeyedByARunThatIsUnderWay() throws {
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try sql("INSERT INTO customers VALUES (1, 'a', 'seen', 'n')")
        try running.wait(for: "the first") {
            try program.events(in: "out/some.jsonl", ignoringTornEnd: true).count == 3
        }
        try program.classify("shop.main.customers", ["card": "restricted"])
        try sql("INSERT INTO customers VALUES (2, 'a', '\(Marker.restricted.value("1"))', 'n')")
        try running.wait(for: "the second") {
            try program.events(in: "out/some.jsonl", ignoringTornEnd: true).count == 4
        }
        running.send(SIGTERM)
        _ = try running.finish()
        let events = try program.events(in: "out/some.jsonl")
        #expect(events[2].after?["card"] == AnyHashable("seen") && events[3].after?["card"] == nil)
        #expect(try program.markers() == ["out/all.jsonl": [.restricted]])
    }

    @Test(arguments: [
        ("", Set<Marker>()), (", clearance: [public, internal, confidential]", Set([Marker.confidential])),
    ])
    func readersOverHTTPSeeWhatTheyAreClearedFor(setting: String, seen: Set<Marker>) throws {
        try program.catchUp()
        try program.classify("shop.main.customers", ["email": "confidential", "card": "restricted"])
        try program.classify("shop.main.accounts", ["iban": "restricted", "owner": "confidential"])
        try program.folder.write(
            "millrace.yaml",
            Self.configuration(
                clearance: "[public]", more: "server: {listen: \"127.0.0.1:0\", heartbeat: 1s\(setting)}"))
        let (r, c) = (Marker.restricted, Marker.confidential)
        try sql(
            """
            INSERT INTO customers VALUES (1, '\(c.value("1"))', '\(r.value("1"))', 'n');
            UPDATE customers SET card = '\(r.value("2"))' WHERE id = 1;
            INSERT INTO accounts VALUES ('\(r.value("3"))', '\(c.value("2"))');
            DELETE FROM accounts WHERE iban LIKE 'z%';
            """)
        let running = try program.start("run")
        let client = HTTPClient(port: try running.waitForListener(), fields: ["Content-Type: application/json"])
        try running.wait(for: "all events") {
            try client.ask("GET", "/v1/status").body.contains(#""next_offset":6"#)
        }
        for (number, format) in ["cloudevents", "row"].enumerated() {
            let lines = try client.ask("GET", "/v1/events?places=true&format=\(format)").body
            let fields = ["Accept: text/event-stream"]
            let sent = try client.ask("GET", "/v1/events?follow=false&format=\(format)", fields: fields).body
            let path = "/v1/subscriptions/s\(number)"
            #expect(try client.ask("PUT", path, #"{"format": "\#(format)"}"#).status == 201)
            let pulled = try client.ask("POST", path + "/pull", "{}").body
            for text in [lines, sent, pulled] {
                #expect(text.contains("customers"), "\(text)")
                #expect(Marker.found(in: text) == seen, "\(text)")
            }
            // Less may be asked for, and more may not.
            #expect(try client.ask("PUT", path, #"{"clearance": "restricted"}"#).status == 403)
            #expect(try client.ask("PUT", path + "less", #"{"clearance": "public"}"#).status == 201)
            #expect(Marker.found(in: try client.ask("POST", path + "less/pull", "{}").body) == [])
        }
        running.send(SIGTERM)
        #expect(Marker.found(in: try running.finish().errors) == [])
    }

    @Test func withoutItsSchemaNothingIsShownAndNothingIsLost() throws {
        try sql("INSERT INTO customers VALUES (1, 'a', '\(Marker.restricted.value("1"))', 'n')")
        try program.catchUp()
        let (here, there) = (program.folder.path("Schemas"), program.folder.path("Elsewhere"))
        try FileManager.default.moveItem(atPath: here, toPath: there)
        let tail = try program.run("tail")
        #expect(tail.exitCode == 3 && tail.errors.contains("sensitivity.classes_unknown"), "\(tail.errors)")
        #expect(tail.output.isEmpty)
        #expect(try program.run("tail", "--clearance", "restricted").exitCode == 0)
        // A sink that is new meanwhile waits, and goes on by itself.
        try program.folder.write(
            "millrace.yaml",
            Self.configuration(
                clearance: "[public, internal]", more: "  late:\n    file: {path: out/late.jsonl}"))
        let running = try program.start("run")
        try running.waitForError(containing: "sensitivity.classes_unknown")
        #expect(try program.events(in: "out/late.jsonl").isEmpty)
        try? FileManager.default.removeItem(atPath: here)
        try FileManager.default.moveItem(atPath: there, toPath: here)
        try running.wait(for: "the late sink") {
            try program.events(in: "out/late.jsonl", ignoringTornEnd: true).count == 3
        }
        running.send(SIGTERM)
        _ = try running.finish()
    }

    /// What a version said must hold is not forgotten with its file.
    @Test func aClassifiedVersionThatIsLostStopsCaptureAndHidesItsEvents() throws {
        try program.catchUp()
        try program.classify("shop.main.customers", ["card": "restricted"])
        try sql("INSERT INTO customers VALUES (1, 'a', '\(Marker.restricted.value("1"))', 'n')")
        try program.catchUp()
        let path = program.folder.path("Schemas/shop.main.customers")
        try FileManager.default.moveItem(atPath: path + "/v2.schema.json", toPath: path + "/aside")
        try sql("INSERT INTO customers VALUES (2, 'b', '\(Marker.restricted.value("2"))', 'n')")
        let lost = try program.run("run", "--until-caught-up")
        #expect(lost.exitCode == 1 && lost.errors.contains("error[schema.version_gone]"), "\(lost.errors)")
        // A later version does not know what the lost one said.
        try FileManager.default.copyItem(atPath: path + "/v1.schema.json", toPath: path + "/v3.schema.json")
        let tail = try program.run("tail")
        #expect(tail.exitCode == 3 && tail.errors.contains("sensitivity.classes_unknown"), "\(tail.errors)")
        #expect(Marker.found(in: tail.output) == [])
        try FileManager.default.removeItem(atPath: path + "/v3.schema.json")
        try FileManager.default.moveItem(atPath: path + "/aside", toPath: path + "/v2.schema.json")
        try program.catchUp()
        #expect(try program.markers() == ["out/all.jsonl": [.restricted]])
        #expect(try program.events(in: "out/some.jsonl").filter { $0.table == "main.customers" }.count == 3)
    }

    @Test func aTableOfSQLiteUnderAnotherNameKeepsItsClasses() throws {
        try program.catchUp()
        try program.classify("shop.main.customers", ["card": "restricted"])
        try sql(
            "ALTER TABLE customers RENAME TO clients; "
                + "INSERT INTO clients VALUES (1, 'a', '\(Marker.restricted.value("1"))', 'n')")
        try program.catchUp()
        #expect(try program.events(in: "out/some.jsonl").contains { $0.table == "main.clients" && $0.key == "id=1" })
        #expect(try program.markers() == ["out/all.jsonl": [.restricted]])
        #expect(Marker.found(in: try program.run("tail").output) == [])
    }

    @Test func aKeyThatMayNotBeSeenNeedsASalt() throws {
        try program.folder.write(
            "millrace.yaml",
            Self.configuration(clearance: "[public, internal]").replacing(
                "mask_salt: salt-of-the-test-0123\n", with: ""))
        try program.catchUp()
        try program.classify("shop.main.accounts", ["iban": "restricted"])
        try sql("INSERT INTO accounts VALUES ('\(Marker.restricted.value("1"))', 'o')")
        let doctor = try program.run("doctor")
        #expect(doctor.exitCode == 3 && doctor.output.contains("[sensitivity.salt_missing]"), "\(doctor.output)")
        let run = try program.run("run", "--until-caught-up")
        #expect(run.exitCode == 2 && run.errors.contains("sensitivity.salt_missing"), "\(run.errors)")
        #expect(try program.markers() == ["out/all.jsonl": [.restricted]])
        // A command makes up a salt of its own.
        #expect(Marker.found(in: try program.run("tail").output) == [])
    }
}

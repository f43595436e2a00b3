import Foundation
import JSONText
import ProgramTesting
import Testing

/// The SQL that Debezium's connector was recorded with, through the whole program: the same topics, keys, operations
/// and values, record by record. What differs is listed here and in docs/guides/debezium.md.
@Suite(.serialized)
struct DebeziumConformanceTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Debezium")

    private static func configuration(
        _ database: PostgresDatabase, tables: String = "public.types_given, public.full_given, public.toast_given",
        sinks: String = DebeziumConformanceTests.files
    ) -> String {
        """
        name: shop
        source:
          postgres:
            url: \(database.url)
            tables: [\(tables)]
            slot: \(database.name)
            publication: \(database.name)
            messages: [app]
            transactions: true
        sinks:
        \(sinks)
        """
    }

    private static let files = """
          defaults:
            file: {path: out/defaults.jsonl}
            format: debezium
            debezium: {lines: record}
          strings:
            file: {path: out/strings.jsonl}
            format: debezium
            debezium: {lines: record, decimal: string, interval: string, hstore: json, time: isostring}
          values:
            file: {path: "values/{topic}.jsonl"}
            format: debezium
        """

    /// Sinks that have headers, in both modes; with tombstones, and one of each kind as it is without a word.
    private static func messages(_ hooks: Int, _ broker: NATSServer) -> String {
        let modes = [
            "defaults": "{tombstones: true}",
            "strings": "{tombstones: true, decimal: string, interval: string, hstore: json, time: isostring}",
            "silent": "{}",
        ]
        return files + "\n"
            + modes.sorted { $0.key < $1.key }.map { mode, options in
                let coding = mode == "strings" ? ", record_headers: {prefix: H-, base64: false}" : ""
                return """
                      hooks-\(mode):
                        webhook:
                          {url: "http://127.0.0.1:\(hooks)/\(mode)", concurrency: 1,
                           allow_private_addresses: true\(coding)}
                        format: debezium
                        debezium: \(options)
                      broker-\(mode):
                        nats: {servers: ["\(broker.address)"], stream: \(mode), subject: "\(mode).{topic}"}
                        format: debezium
                        debezium: \(options)
                    """
            }.joined(separator: "\n")
    }

    private func run(_ script: String, _ database: PostgresDatabase) throws {
        let result = try runProgram(
            "/usr/bin/psql",
            [
                "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database.name, "-f",
                Self.folder.appending(path: script).path,
            ])
        guard result.exitCode == 0 else { throw ChildFailure(description: "psql: \(result.errors)") }
    }

    private func records(_ text: String) throws -> [JSONValue] {
        try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    }

    @Test func theRecordingsSQLGivesTheRecordingsRecords() throws {
        let database = try PostgresDatabase()
        try run("given.sql", database)
        let program = try MillraceProgram(configuration: Self.configuration(database))
        try program.catchUp()
        try run("given-changes.sql", database)
        try program.catchUp()
        for mode in ["defaults", "strings"] {
            let recording = try records(
                String(contentsOf: Self.folder.appending(path: "\(mode).jsonl"), encoding: .utf8))
            let ours = try records(String(contentsOfFile: program.folder.path("out/\(mode).jsonl"), encoding: .utf8))
            #expect(ours.count == recording.count)
            var differences: [String] = []
            for (number, (mine, theirs)) in zip(ours, recording).enumerated() {
                #expect(normalized(mine).compactText == normalized(theirs).compactText, "\(mode), record \(number + 1)")
                differences += deliberate(mine, theirs).map { "\(number + 1) \($0)" }
            }
            #expect(
                differences == [
                    "1 snapshot true, not last",
                    "12 header __debezium.newkey", "14 header __debezium.oldkey",
                    "23 header __debezium.newkey", "25 header __debezium.oldkey",
                    "40 message",
                ])
        }
        // Values alone are the same records without the tombstones, each under its topic.
        let values = try records(
            String(contentsOfFile: program.folder.path("values/shop.public.full_given.jsonl"), encoding: .utf8))
        #expect(values.map { $0["op"]?.string } == ["c", "u", "d", "c", "d", "c", "t"])
        #expect(try program.run("tail", "--format", "debezium").output.split(separator: "\n").count == 43)
    }

    @Test func theRecordingsRecordsArriveWithKeysAndHeadersOverWebhooksAndNATS() throws {
        let database = try PostgresDatabase()
        try run("given.sql", database)
        let (receiver, broker) = (try HTTPReceiver { _ in .status(204) }, try NATSServer())
        let program = try MillraceProgram(
            configuration: Self.configuration(database, sinks: Self.messages(receiver.port, broker)))
        try program.catchUp()
        try run("given-changes.sql", database)
        try program.catchUp()
        for mode in ["defaults", "strings", "silent"] {
            let name = mode == "silent" ? "defaults" : mode
            var recording = try records(
                String(contentsOf: Self.folder.appending(path: "\(name).jsonl"), encoding: .utf8))
            var lines = try records(String(contentsOfFile: program.folder.path("out/\(name).jsonl"), encoding: .utf8))
            #expect(recording.count == 43 && lines.count == 43)
            if mode == "silent" {
                // As Debezium Server does it, nothing is sent that has no value.
                recording.removeAll { $0["value"]?.isNull ?? true }
                lines.removeAll { $0["value"]?.isNull ?? true }
                #expect(recording.count == 39)
            }
            let requests = receiver.requests.filter { $0.line == "POST /\(mode) HTTP/1.1" }
            let hooks = try requests.map { try record(of: $0, prefix: mode == "strings" ? "h-" : "x-debezium-") }
            let messages = try StreamReader(broker.address).messages(of: mode).map { try record(of: $0, mode) }
            for (kind, arrived) in [("webhook", hooks), ("nats", messages)] {
                #expect(arrived.map { normalized($0).compactText } == recording.map { normalized($0).compactText })
                #expect(
                    arrived.map { $0["headers"]?.compactText } == lines.map { $0["headers"]?.compactText }, "\(kind)")
            }
            #expect(hooks.count { $0["headers"]?.object?.names.isEmpty == false } == 4)
        }
    }

    /// The record that a request is: coded as the configuration says for its prefix.
    private func record(of request: HTTPReceiver.Request, prefix: String) throws -> JSONValue {
        #expect(request.fields["content-type"] == "application/json")
        var parts = try request.fields.filter { $0.key.hasPrefix(prefix) }.map { name, text in
            let isBase64 = prefix != "h-"
            let value = isBase64 ? String(decoding: Data(base64Encoded: text) ?? Data(), as: UTF8.self) : text
            return (String(name.dropFirst(prefix.count)), try JSONValue(parsing: value))
        }
        let (topic, key) = (parts.first { $0.0 == "topic" }, parts.first { $0.0 == "key" })
        #expect(parts.contains { $0.0 == "tombstone" } == request.body.isEmpty)
        parts.removeAll { ["topic", "key", "tombstone"].contains($0.0) }
        return try assembled(topic?.1 ?? .null, key?.1, parts, request.text)
    }

    /// The record that a message of a stream is.
    private func record(of message: ReadMessage, _ mode: String) throws -> JSONValue {
        #expect(message.headers["Content-Type"] == "application/json" && message.subject.hasPrefix(mode + "."))
        #expect((message.headers["Debezium-Tombstone"] == "true") == message.payload.isEmpty)
        let own = try message.headers.filter { !$0.key.hasPrefix("Nats-") && !$0.key.hasPrefix("Debezium-") }
            .filter { $0.key != "Content-Type" }.map { ($0, try JSONValue(parsing: $1)) }
        let key = try message.headers["Debezium-Key"].map { try JSONValue(parsing: $0) }
        return try assembled(.string(String(message.subject.dropFirst(mode.count + 1))), key, own, message.text)
    }

    private func assembled(
        _ topic: JSONValue, _ key: JSONValue?, _ headers: [(String, JSONValue)], _ value: String
    ) throws -> JSONValue {
        let members = headers.map { JSONObject.Member(name: $0, value: $1) }
        return .object(
            JSONObject([
                .init(name: "topic", value: topic), .init(name: "key", value: key ?? .null),
                .init(name: "headers", value: .object(JSONObject(members))),
                .init(name: "value", value: value.isEmpty ? .null : try JSONValue(parsing: value)),
            ]))
    }

    @Test func whatIsCountedOfATransactionIsTheSameAfterAStartInItsMiddle() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE full_given (id int PRIMARY KEY, note text)")
        let program = try MillraceProgram(configuration: Self.configuration(database, tables: "public.full_given"))
        try program.catchUp()
        try database.sql("INSERT INTO full_given SELECT n, 'x' FROM generate_series(1, 9) n")
        try program.catchUp()
        let whole = try program.run("tail", "--format", "debezium").output.split(separator: "\n")
        try #require(whole.count == 11)
        for offset in 1...10 {
            let part = try program.run("tail", "--format", "debezium", "--from", "\(offset)").output
                .split(separator: "\n")
            #expect(
                try records(part.joined(separator: "\n")).map { normalized($0).compactText }
                    == (try records(whole.dropFirst(offset).joined(separator: "\n"))).map { normalized($0).compactText }
            )
        }
        #expect(
            whole.last?.contains(#""event_count":9,"data_collections":[{"data_collection":"public.full_given""#)
                ?? false)
    }

    // MARK: What is aside

    /// A record without times, ids and versions, and without what differs deliberately.
    private func normalized(_ record: JSONValue) -> JSONValue {
        let isTransaction = record["topic"]?.string == "shop.transaction"
        return record.replacing { path, value in
            switch path {
            case "value.ts_ms", "value.ts_us", "value.ts_ns", "value.transaction.id": .string("-")
            case "value.source.version", "value.source.ts_ms", "value.source.ts_us", "value.source.ts_ns",
                "value.source.db", "value.source.sequence", "value.source.txId", "value.source.lsn",
                "value.source.snapshot":
                .string("-")
            case "key.id", "value.id": isTransaction ? .string("-") : value
            case "headers": .string("-")
            case "value.data_collections": value.array?.count == 1 && isOfMessage(value) ? .string("-") : value
            default: value
            }
        }
    }

    private func isOfMessage(_ collections: JSONValue) -> Bool {
        let name = collections.array?.first?["data_collection"]?.string ?? ""
        return name == "message" || name.contains("LogicalDecodingMessage")
    }

    private func deliberate(_ mine: JSONValue, _ theirs: JSONValue) -> [String] {
        var differences: [String] = []
        let snapshots = [mine, theirs].map { $0["value"]?["source"]?["snapshot"]?.string ?? "-" }
        if snapshots[0] != snapshots[1] { differences.append("snapshot \(snapshots[0]), not \(snapshots[1])") }
        if mine["headers"] != theirs["headers"] {
            differences += (mine["headers"]?.object?.names ?? []).map { "header \($0)" }
        }
        if let collections = mine["value"]?["data_collections"], isOfMessage(collections) {
            differences.append("message")
        }
        return differences
    }
}

extension JSONValue {
    /// The value with the members of its objects replaced, the outer ones first. Paths are names parted by dots.
    fileprivate func replacing(_ path: String = "", _ body: (String, JSONValue) -> JSONValue) -> JSONValue {
        guard case .object(var object) = self else { return self }
        for index in object.members.indices {
            let inner = path.isEmpty ? object.members[index].name : path + "." + object.members[index].name
            object.members[index].value = body(inner, object.members[index].value).replacing(inner, body)
        }
        return .object(object)
    }
}

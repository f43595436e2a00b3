import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

/// Tables change at random between and inside of transactions, some of which are rolled back, while the program is
/// killed at random moments. Every event must be under a contract with exactly the columns that the server itself,
/// through a slot of its own, says the table had at that change.
@Suite(.serialized)
struct SchemaStormTests {
    @Test func everyEventIsUnderTheFormThatTheServerSays() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        try storm(seed: seed, policy: "evolve")
    }

    @Test func whatAPolicySetsAsideIsInTheEndUnderTheFormThatTheServerSays() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        try storm(seed: seed, policy: "quarantine")
    }

    private func storm(seed: UInt64, policy: String) throws {
        var random = SeededGenerator(seed: seed)
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY, n int)")
        let program = try MillraceProgram(shop: database, tables: "a", "b", schemas: "on_change: \(policy)")
        try program.catchUp()
        let ledger = try ShapeLedger(database, publication: database.name)
        var tables = ["a": ChangingTable("a"), "b": ChangingTable("b")]
        for _ in 0..<5 {
            let victim = try program.start("run")
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                var script = ""
                for _ in 0..<6 {
                    let name = Bool.random(using: &random) ? "a" : "b"
                    script += tables[name]?.transaction(&random) ?? ""
                }
                try run(script, database, program)
            }
            if Int.random(in: 0..<3, using: &random) > 0 { try victim.waitForError(containing: "capturing") }
            if policy == "quarantine", Bool.random(using: &random) { try acceptAll(program) }
            victim.kill()
        }
        try program.catchUp()
        try acceptAll(program)
        try program.catchUp()
        try expectForms(program, ledger, "seed \(seed)")
    }

    private func run(_ script: String, _ database: PostgresDatabase, _ program: MillraceProgram) throws {
        let file = try program.folder.write("storm.sql", script)
        let result = try runProgram("/usr/bin/psql", ["-X", "-q", "-d", database.name, "-f", file])
        guard result.exitCode == 0 else { throw ChildFailure(description: "storm: \(result.errors)") }
        let other = result.errors.split(separator: "\n").filter { $0.contains("FATAL") || $0.contains("syntax") }
        guard other.isEmpty else { throw ChildFailure(description: "storm: \(other)") }
    }

    private func acceptAll(_ program: MillraceProgram) throws {
        for table in ["a", "b"]
        where FileManager.default.fileExists(atPath: program.folder.path("Schemas/shop.public.\(table)")) {
            #expect(try program.run("schema", "accept", "shop.public.\(table)").exitCode == 0)
        }
    }

    private func expectForms(_ program: MillraceProgram, _ ledger: ShapeLedger, _ comment: Comment) throws {
        let expected = try ledger.changes()
        #expect(expected.count > 50, comment)
        let events = try program.events(in: "out/all.jsonl")
        #expect(events.map(\.sequence).sorted() == expected.map(\.sequence), comment)
        #expect(try program.loggedEvents().map(\.sequence).sorted() == expected.map(\.sequence), comment)
        let shapes = Dictionary(uniqueKeysWithValues: expected.map { ($0.sequence, $0) })
        var columns: [String: Set<String>] = [:]
        for event in events {
            let change = try #require(shapes[event.sequence])
            let known = try columns[event.dataschema] ?? self.columns(of: event, program)
            columns[event.dataschema] = known
            #expect(event.table == change.table, comment)
            #expect(known == change.columns, "\(event.id), \(comment)")
            if let after = event.after { #expect(Set(after.keys).union(event.unchanged) == change.columns, comment) }
        }
        for table in ["a", "b"] {
            let own = events.filter { $0.table == "public.\(table)" }
            #expect(own.map(\.sequence) == own.map(\.sequence).sorted(), comment)
            // A version for every form that rows were written under, and none besides.
            let forms = Set(expected.filter { $0.table == "public.\(table)" }.map(\.form))
            let files = try FileManager.default.contentsOfDirectory(
                atPath: program.folder.path("Schemas/shop.public.\(table)"))
            #expect(files.count == forms.count, "\(files), \(comment)")
            #expect(Set(own.map(\.version)).count == forms.count, comment)
        }
    }

    private func columns(of event: Event, _ program: MillraceProgram) throws -> Set<String> {
        let file = program.folder.path("Schemas/shop.\(event.table)/v\(event.version).schema.json")
        let object =
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file))) as? [String: Any]
        return Set(try #require(object?["properties"] as? [String: Any]).keys)
    }
}

/// What a random workload knows of its table.
private struct ChangingTable {
    let name: String
    var columns = ["n"]
    private var made = 0

    init(_ name: String) { self.name = name }

    /// A transaction with rows before, between and after changes of the table; some are rolled back.
    mutating func transaction(_ random: inout SeededGenerator) -> String {
        let before = (columns, made)
        var script = "BEGIN;\n"
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            if Int.random(in: 0..<3, using: &random) == 0 { script += savepointed(&random) }
            script += rows(&random)
        }
        if Int.random(in: 0..<6, using: &random) == 0 {
            columns = before.0
            return script + "ROLLBACK;\n"
        }
        return script + "COMMIT;\n"
    }

    private mutating func savepointed(_ random: inout SeededGenerator) -> String {
        let before = columns
        let change = ddl(&random)
        if Int.random(in: 0..<4, using: &random) > 0 { return change }
        columns = before
        return "SAVEPOINT s;\n" + change + "ROLLBACK TO SAVEPOINT s;\n"
    }

    private mutating func ddl(_ random: inout SeededGenerator) -> String {
        let place = Int.random(in: 0..<max(1, columns.count), using: &random)
        made += 1
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1:
            columns.append("c\(made)")
            return "ALTER TABLE \(name) ADD COLUMN c\(made) int DEFAULT \(made);\n"
        case 2 where columns.count > 1:
            return "ALTER TABLE \(name) DROP COLUMN \(columns.remove(at: place));\n"
        case 3 where !columns.isEmpty:
            let old = columns[place]
            columns[place] = "r\(made)"
            return "ALTER TABLE \(name) RENAME COLUMN \(old) TO r\(made);\n"
        case 4 where !columns.isEmpty:
            let type = ["text", "numeric(12,2)", "varchar(\(20 + made % 3))"].randomElement(using: &random) ?? "text"
            return "ALTER TABLE \(name) ALTER COLUMN \(columns[place]) DROP DEFAULT, "
                + "ALTER COLUMN \(columns[place]) TYPE \(type) USING NULL;\n"
        default:
            return
                "ALTER TABLE \(name) REPLICA IDENTITY \(["FULL", "DEFAULT"].randomElement(using: &random) ?? "FULL");\n"
        }
    }

    private func rows(_ random: inout SeededGenerator) -> String {
        let id = Int.random(in: 0..<30, using: &random)
        let column = columns.randomElement(using: &random) ?? "id"
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return "DELETE FROM \(name) WHERE id = \(id);\n"
        case 1: return "UPDATE \(name) SET \(column) = NULL WHERE id < \(id);\n"
        default: return "INSERT INTO \(name) (id, \(column)) VALUES (\(id), '\(id)') ON CONFLICT DO NOTHING;\n"
        }
    }
}

/// The server's own account of its changes, with the form of the table at each of them.
private struct ShapeLedger {
    struct Change {
        var sequence: String
        var table: String
        var columns: Set<String>
        /// Names, types and modifiers, regardless of order.
        var form: Set<String>
    }

    private struct Shape {
        var table: String
        var columns: Set<String>
        var form: Set<String>
    }

    private let database: PostgresDatabase
    private let publication: String
    private let slot: String

    init(_ database: PostgresDatabase, publication: String) throws {
        self.database = database
        self.publication = publication
        slot = "shapes_\(database.name)"
        try database.sql("SELECT pg_create_logical_replication_slot('\(slot)', 'pgoutput')")
    }

    func changes() throws -> [Change] {
        let messages = try database.sql(
            """
            SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('\(slot)', NULL, NULL,
                'proto_version', '1', 'publication_names', '\(publication)')
            """)
        var shapes: [String: Shape] = [:]
        var (commit, ordinal) = ("", 0)
        var changes: [Change] = []
        for message in messages {
            switch message.prefix(2) {
            case "42": (commit, ordinal) = (message.dropFirst(2).prefix(16).uppercased(), 0)
            case "52":
                var bytes = Hex(message.dropFirst(2))
                let id = bytes.number(4)
                shapes[id] = Self.shape(&bytes)
            case "49", "55", "44":
                let digits = String(ordinal, radix: 16, uppercase: true)
                let place = String(repeating: "0", count: 8 - digits.count) + digits
                guard let shape = shapes[String(message.dropFirst(2).prefix(8))] else { continue }
                changes.append(
                    Change(
                        sequence: "\(commit)-\(place)", table: shape.table, columns: shape.columns, form: shape.form))
                ordinal += 1
            default: break
            }
        }
        return changes
    }

    private static func shape(_ bytes: inout Hex) -> Shape {
        let table = bytes.text() + "." + bytes.text()
        _ = bytes.number(1)
        var shape = Shape(table: table, columns: [], form: [])
        for _ in 0..<(Int(bytes.number(2), radix: 16) ?? 0) {
            _ = bytes.number(1)
            let name = bytes.text()
            shape.columns.insert(name)
            shape.form.insert(name + " " + bytes.number(4) + " " + bytes.number(4))
        }
        return shape
    }

    /// Hexadecimal digits that are read front to back.
    private struct Hex {
        private var rest: Substring

        init(_ digits: Substring) { rest = digits }

        mutating func number(_ bytes: Int) -> String {
            defer { rest = rest.dropFirst(bytes * 2) }
            return String(rest.prefix(bytes * 2))
        }

        mutating func text() -> String {
            var bytes: [UInt8] = []
            while let byte = UInt8(number(1), radix: 16), byte != 0 { bytes.append(byte) }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}

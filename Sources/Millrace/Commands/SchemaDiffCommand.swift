import ArgumentParser
import ConnectorKit
import JSONSchema
import JSONText
import SchemaRegistry

/// `millrace schema diff`
struct SchemaDiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show what changed between two versions, and whom it breaks.",
        discussion: """
            For tables, first each difference in the database's words. Then each difference of the schemas: its path, \
            what both versions say there, and, where it breaks something, the direction, the rule and the reason. The \
            last line says whom it breaks. The exit code is 0 whatever the difference is; for CI there is check.
            """)

    @OptionGroup var place: SchemaOptions
    @Argument(help: "The subject, such as shop.public.orders.")
    var subject: String
    @Argument(help: ArgumentHelp("A version's number, or proposed-1.", valueName: "from"))
    var old: String
    @Argument(help: ArgumentHelp("A version's number, or proposed-1.", valueName: "to"))
    var new: String
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let store = try place.store()
        let (before, after) = (try schema(old, store), try schema(new, store))
        let changes = SchemaChanges(from: before, to: after)
        let table = SchemaDifference(from: before.schema, to: after.schema)
        if json {
            Terminal.printLine(object(changes, table).compactText)
            return
        }
        for line in lines(changes, table, isTable: [before, after].allSatisfy(Self.isTable)) {
            Terminal.printLine(line)
        }
    }

    /// For people: the database's words, the schemas', and whom it breaks.
    private func lines(_ changes: SchemaChanges, _ table: SchemaDifference, isTable: Bool) -> [String] {
        if changes.lines.isEmpty, !isTable || table.isEmpty { return ["no difference"] }
        var lines = isTable ? table.lines : []
        for line in changes.lines where !Self.isOwnNote(line) { lines += BreakText.lines(line) }
        return lines + [isTable && table.breakage != [] ? table.verdict : verdict(changes)]
    }

    private static func isTable(_ version: VersionedSchema) -> Bool {
        version.schema["x-millrace"]?["columns"] != nil
    }

    /// What this program notes of a table stands in the lines before in better words.
    private static func isOwnNote(_ line: SchemaChanges.Line) -> Bool {
        line.isAnnotation && line.breaks.isEmpty && line.path.utf8.starts(with: "/x-millrace".utf8)
    }

    private func schema(_ name: String, _ store: SchemaStore) throws -> VersionedSchema {
        if name.hasPrefix("proposed-"), let proposal = try store.folder.schema(named: name, of: subject) {
            return VersionedSchema(proposal)
        }
        guard let number = Int(name) else { throw Self.unknown(name, of: subject) }
        return try store.versioned(subject, number)
    }

    static func unknown(_ version: String, of subject: String) -> ConnectorFailure {
        ConnectorFailure(
            "schema.unknown_version", .stop, "\(subject) has no version \(version)", setting: "schemas.directory",
            hint: "see which there are: millrace schema list", exitCode: 2)
    }

    private func verdict(_ changes: SchemaChanges) -> String {
        switch (changes.backward.isEmpty, changes.forward.isEmpty) {
        case (true, true): "nothing breaks"
        case (false, true): "breaks reading older events by the new version"
        case (true, false): "breaks consumers that know only the old version"
        case (false, false): "breaks both ways"
        }
    }

    private func object(_ changes: SchemaChanges, _ table: SchemaDifference) -> JSONValue {
        [
            "subject": .string(subject), "from": .string(old), "to": .string(new),
            "table": .array(table.lines.map { .string($0) }),
            "differences": .array(changes.lines.map(BreakText.json)),
            "breaks_backward": .bool(!changes.backward.isEmpty), "breaks_forward": .bool(!changes.forward.isEmpty),
        ]
    }
}

/// Differences and breaks as lines for people and as JSON.
enum BreakText {
    /// A difference: its path and both values, then what it breaks.
    static func lines(_ line: SchemaChanges.Line) -> [String] {
        [line.description] + line.breaks.map { "    \(of($0))" }
    }

    /// `breaks BACKWARD (old documents under the new schema), rule type-narrowed: …`
    static func of(_ found: CompatibilityBreak) -> String {
        "breaks \(found.direction.rawValue) (\(found.direction.victim)), rule \(found.reason.rule.rawValue): "
            + found.reason.sentence
    }

    /// A break that stands alone: its path, both values, the rule, the direction.
    static func lines(_ found: CompatibilityBreak) -> [String] {
        let isBackward = found.direction == .backward
        let (new, old) =
            isBackward ? (found.reason.reader, found.reason.writer) : (found.reason.writer, found.reason.reader)
        let version = found.version.map { "version \($0)" } ?? "before"
        return [
            "\(found.reason.path.isEmpty ? "the schema" : found.reason.path): \(found.reason.sentence)",
            "    \(version) says \(old ?? "nothing"), the new one \(new ?? "nothing")",
            "    breaks \(found.direction.rawValue): \(found.direction.victim); rule \(found.reason.rule.rawValue)",
        ]
    }

    static func json(_ line: SchemaChanges.Line) -> JSONValue {
        [
            "path": .string(line.path), "old": text(line.old), "new": text(line.new),
            "annotation": .bool(line.isAnnotation), "breaks": .array(line.breaks.map(json)),
        ]
    }

    static func json(_ found: CompatibilityBreak) -> JSONValue {
        let isBackward = found.direction == .backward
        return [
            "direction": .string(found.direction.rawValue),
            "version": found.version.map { .number(JSONNumber($0)) } ?? .null,
            "rule": .string(found.reason.rule.rawValue), "path": .string(found.reason.path),
            "instance_path": .string(found.reason.instancePath),
            "old": text(isBackward ? found.reason.writer : found.reason.reader),
            "new": text(isBackward ? found.reason.reader : found.reason.writer),
            "reason": .string(found.reason.sentence),
        ]
    }

    private static func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
}

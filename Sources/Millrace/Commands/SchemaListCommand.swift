import ArgumentParser
import JSONSchema
import JSONText
import SchemaRegistry

/// `millrace schema list`
struct SchemaListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the subjects with their versions and with what waits to be accepted.")

    @OptionGroup var place: SchemaOptions
    @Flag(help: "Show also what was deleted and is still there.")
    var deleted = false
    @Flag(help: "Print a JSON list.")
    var json = false

    func run() throws {
        let store = try place.store()
        let folder = store.folder
        var objects: [JSONValue] = []
        for subject in try folder.subjects() {
            let live = try folder.versions(of: subject)
            let gone = try folder.allVersions(of: subject).filter { !live.contains($0) }
            let proposals = try folder.proposals(of: subject).map { "proposed-\($0.number)" }
            if live.isEmpty, proposals.isEmpty, gone.isEmpty || !deleted { continue }
            if json {
                objects.append(try object(subject, live, gone, proposals, store))
                continue
            }
            var line = subject + (live.isEmpty ? ": no version" : ": version \(Self.ranges(live))")
            if deleted, !gone.isEmpty { line += ", deleted: \(Self.ranges(gone))" }
            if !proposals.isEmpty { line += ", proposed: " + proposals.joined(separator: ", ") }
            if let level = try store.level(of: subject) { line += ", \(level.rawValue)" }
            if let mode = try store.mode(of: subject) { line += ", \(mode.rawValue)" }
            Terminal.printLine(line)
        }
        if json { Terminal.printLine(JSONValue.array(objects).compactText) }
    }

    private func object(
        _ subject: String, _ live: [Int], _ gone: [Int], _ proposals: [String], _ store: SchemaStore
    ) throws -> JSONValue {
        func numbers(_ versions: [Int]) -> JSONValue { .array(versions.map { .number(JSONNumber($0)) }) }
        return [
            "subject": .string(subject), "versions": numbers(live), "deleted": numbers(gone),
            "proposed": .array(proposals.map { .string($0) }),
            "compatibility": .string(try store.effectiveLevel(of: subject).rawValue),
            "mode": .string(try store.effectiveMode(of: subject).rawValue),
        ]
    }

    /// Such as `1-4, 6`.
    static func ranges(_ numbers: [Int]) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ", ")
    }
}

/// `millrace schema show`
struct SchemaShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Print a version of a subject: the latest one, or SUBJECT@VERSION.",
        discussion: """
            Prints the schema alone, so that it can go into a file. With --json, an object with its subject, version, \
            id, GUID and references. A version that was deleted softly is printed when it is named.
            """)

    @OptionGroup var place: SchemaOptions
    @Argument(help: "The subject, such as shop.public.orders, shop.public.orders@3 or shop.public.orders@proposed-1.")
    var subject: SubjectArgument
    @Flag(help: "Print one JSON object with all that is known of the version.")
    var json = false

    func run() throws {
        let store = try place.store()
        if let name = subject.version, name.hasPrefix("proposed-") {
            guard let proposal = try store.folder.schema(named: name, of: subject.subject) else {
                throw SchemaDiffCommand.unknown(name, of: subject.subject)
            }
            return Terminal.printText(proposal.prettyText)
        }
        let version = try VersionSelector(checking: subject.version ?? "latest")
        let found = try store.schema(of: subject.subject, version, includingDeleted: version != .latest)
        let schema = try JSONValue(parsing: found.text)
        if json {
            Terminal.printLine(found.json(schema).compactText)
        } else {
            Terminal.printText(schema.prettyText)
        }
    }
}

extension RegisteredSchema {
    /// All that is known of a version.
    func json(_ schema: JSONValue) -> JSONValue {
        [
            "subject": .string(subject), "version": .number(JSONNumber(version)), "id": .number(JSONNumber(id)),
            "guid": .string(guid), "schema_type": "JSON", "deleted": .bool(isDeleted),
            "references": .array(references.map(\.json)), "schema": schema,
        ]
    }
}

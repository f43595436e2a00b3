import ArgumentParser
import ConnectorKit
import JSONSchema
import JSONText
import SchemaRegistry

/// `millrace schema validate`
struct SchemaValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check documents against a version of a subject.",
        discussion: """
            FILE holds one JSON document, or one a line (JSON lines). Each reason is printed with its line and column, \
            the path in the document and the keyword of the schema; values are never printed.

            EXIT CODES: 0 all documents are valid, 1 some are not, 2 wrong usage, or something cannot be read or used.
            """)

    @OptionGroup var place: SchemaOptions
    @Argument(help: "The subject, such as shop.public.orders (its latest version) or shop.public.orders@3.")
    var subject: SubjectArgument
    @Argument(help: "A file with one document, or with one a line, or - for standard input.")
    var file: String
    @Option(help: ArgumentHelp("How many reasons are printed; all documents are counted.", valueName: "count"))
    var limit = 100
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let store = try place.store()
        let selector = try VersionSelector(checking: subject.version ?? "latest")
        let found = try store.schema(of: subject.subject, selector, includingDeleted: selector != .latest)
        var run = ValidationRun(
            schema: try store.validator(of: found.subject, version: found.version), file: file, limit: max(0, limit))
        run.validate(try InputFile.read(file))
        if json {
            Terminal.printLine(run.json(found).compactText)
        } else {
            for reason in run.reasons { Terminal.printLine(reason.line(file)) }
            let documents = run.documentCount == 1 ? "1 document" : "\(run.documentCount) documents"
            let name = "\(found.subject) version \(found.version)"
            Terminal.printLine(
                run.invalidCount == 0
                    ? "\(documents) valid under \(name)"
                    : "\(run.invalidCount) of \(documents) invalid under \(name)")
        }
        if run.invalidCount > 0 { throw RunEnd(exitCode: 1) }
    }
}

/// The documents of a file, one after the other.
private struct ValidationRun {
    /// Why a document is not valid.
    struct Reason {
        var line: Int
        var column: Int
        var text: String
        var failure: ValidationFailure?

        func line(_ file: String) -> String { "\(file):\(line):\(column): \(text)" }
    }

    let schema: JSONSchema
    let file: String
    let limit: Int
    var documentCount = 0
    var invalidCount = 0
    var reasons: [Reason] = []

    /// A file is one document when it is one, and otherwise has one in each line.
    mutating func validate(_ bytes: [UInt8]) {
        let hasLines = file.hasSuffix(".jsonl") || file.hasSuffix(".ndjson")
        if !hasLines, (try? JSONTape(parsing: bytes)) != nil { return validateDocument(bytes, line: 0) }
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        let isBlank = { (line: ArraySlice<UInt8>) in line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }
        // One document that is broken has its mistake where the parser says, and not in its first line.
        let first = lines.first { !isBlank($0) }.map { Array($0) } ?? []
        if !hasLines, (try? JSONTape(parsing: first)) == nil { return validateDocument(bytes, line: 0) }
        for (number, line) in lines.enumerated() where !isBlank(line) {
            validateDocument(Array(line), line: number)
        }
    }

    /// `line` is the number of lines before the document.
    private mutating func validateDocument(_ bytes: [UInt8], line: Int) {
        documentCount += 1
        let failures: [ValidationFailure]
        do {
            failures = try schema.validate(bytes, most: max(1, limit - reasons.count))
        } catch let error as JSONError {
            return note(Reason(line: line + error.line, column: error.column, text: "no JSON: \(error.message)"))
        } catch {
            return note(Reason(line: line + 1, column: 1, text: "it takes too long to say whether this is valid"))
        }
        guard !failures.isEmpty else { return }
        invalidCount += 1
        for failure in failures {
            let place = JSONPlace(of: failure.instancePath, in: bytes)
            add(
                Reason(
                    line: line + place.line, column: place.column, text: failure.description, failure: failure))
        }
    }

    private mutating func note(_ reason: Reason) {
        invalidCount += 1
        add(reason)
    }

    private mutating func add(_ reason: Reason) { if reasons.count < limit { reasons.append(reason) } }

    func json(_ schema: RegisteredSchema) -> JSONValue {
        [
            "subject": .string(schema.subject), "version": .number(JSONNumber(schema.version)),
            "documents": .number(JSONNumber(documentCount)), "invalid": .number(JSONNumber(invalidCount)),
            "reasons": .array(
                reasons.map { reason in
                    [
                        "line": .number(JSONNumber(reason.line)), "column": .number(JSONNumber(reason.column)),
                        "reason": .string(reason.failure?.reason ?? reason.text),
                        "instance_path": reason.failure.map { .string($0.instancePath) } ?? .null,
                        "schema_path": reason.failure.map { .string($0.schemaPath) } ?? .null,
                    ]
                }),
        ]
    }
}

import ArgumentParser
import ConnectorKit
import JSONText
import SchemaRegistry

/// `millrace schema register`
struct SchemaRegisterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register", abstract: "Make a JSON Schema the next version of a subject.",
        discussion: """
            It must be a schema that can be used, and compatible with the versions before it as far as the subject's \
            level asks (see `millrace schema compatibility`). A schema that the subject has already is not registered \
            again, however its members are ordered. A running process notices a new version by itself.
            """)

    @OptionGroup var place: SchemaOptions
    @Argument(help: "The subject, such as shop.public.orders.")
    var subject: String
    @Argument(help: "A file with the schema, or - for standard input.")
    var file: String
    @OptionGroup var used: ReferenceOptions
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let store = try place.store()
        let before = (try? store.versions(of: subject, .all)) ?? []
        let made = try store.register(try used.submitted(file), subject: subject)
        if json {
            Terminal.printLine(made.json(try JSONValue(parsing: made.text)).compactText)
            return
        }
        let known = before.contains(made.version) ? ", as before" : ""
        Terminal.printLine("\(subject): version \(made.version), id \(made.id)\(known)")
    }
}

/// The schemas that a schema in a file uses.
struct ReferenceOptions: ParsableArguments {
    @Option(
        name: .customLong("reference"),
        help: ArgumentHelp(
            "A schema that this one uses by $ref: the URI there, the subject and its version. May come more than once.",
            valueName: "uri=subject@version"))
    var references: [String] = []

    /// The schema of a file with these references.
    func submitted(_ file: String) throws -> SubmittedSchema {
        let bytes = try InputFile.read(file)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RegistryFailure(.invalidSchema, "\(file) is not UTF-8")
        }
        do throws(JSONError) { _ = try JSONValue(parsing: bytes) } catch {
            throw RegistryFailure(.invalidSchema, "\(file):\(error.line):\(error.column): \(error.message)")
        }
        return SubmittedSchema(text, references: try references.map(Self.reference))
    }

    private static func reference(_ text: String) throws -> SchemaReference {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let target = SubjectArgument(argument: parts.count == 2 ? parts[1] : "")
        guard parts.count == 2, !parts[0].isEmpty, let version = target.version.flatMap(Int.init) else {
            throw ConnectorFailure(
                "schema.reference", .stop, "\"\(text)\" is no reference",
                hint: "write --reference URI=SUBJECT@VERSION, such as money.json=shop.money@1", exitCode: 2)
        }
        return SchemaReference(name: parts[0], subject: target.subject, version: version)
    }
}

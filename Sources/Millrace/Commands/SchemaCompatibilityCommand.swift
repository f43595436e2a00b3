import ArgumentParser
import ConnectorKit
import JSONSchema
import JSONText
import SchemaRegistry

/// `millrace schema compatibility`
struct SchemaCompatibilityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compatibility", abstract: "Show or set what a new version of a subject must keep.",
        discussion: """
            Levels: NONE, BACKWARD (data of the latest version stays valid), FORWARD (new data is valid under the \
            latest version), FULL (both), and each of the three with _TRANSITIVE for all versions instead of the \
            latest. The subject - is the default, which holds where a subject has no level of its own.
            """)

    @OptionGroup var place: SchemaOptions
    @Argument(help: "The subject; - for the default of all subjects.")
    var subject: String
    @Argument(help: "The level to set; without it, the present one is shown.")
    var level: String?
    @Flag(help: "Take back what was set: the default holds again.")
    var reset = false
    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if reset, level != nil { throw ValidationError("LEVEL and --reset exclude each other.") }
    }

    func run() throws {
        let store = try place.store()
        let name = subject == "-" ? nil : subject
        if let level {
            try store.setLevel(CompatibilityLevel(checking: level), of: name)
        } else if reset, try store.level(of: name) != nil {
            try store.clearLevel(of: name)
        }
        let own = try store.level(of: name)
        let holds = try own ?? store.level(of: nil) ?? .standard
        if json {
            let object: JSONValue = [
                "subject": name.map { .string($0) } ?? .null, "compatibility": .string(holds.rawValue),
                "own": .bool(own != nil),
            ]
            Terminal.printLine(object.compactText)
            return
        }
        let origin = own == nil ? " (the default)" : ""
        Terminal.printLine("\(name ?? "default"): \(holds.rawValue)\(origin): \(holds.meaning)")
    }
}

/// `millrace schema delete`
struct SchemaDeleteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a subject, or one version of it: SUBJECT@VERSION.",
        discussion: """
            A deleted version is not compared with new ones and describes no table any longer. Its file stays, so that \
            whoever has an event of it can still read it; --permanent removes the file of what was deleted before. The \
            numbers of deleted versions are never given again. What another schema refers to is not deleted.
            """)

    @OptionGroup var place: SchemaOptions
    @Argument(help: "The subject, such as shop.public.orders, or shop.public.orders@3.")
    var subject: SubjectArgument
    @Flag(help: "Remove what was deleted before, for good.")
    var permanent = false

    func run() throws {
        let store = try place.store()
        let word = permanent ? "removed for good" : "deleted"
        guard let name = subject.version else {
            let versions = try store.delete(subject: subject.subject, permanently: permanent)
            Terminal.printLine("\(subject.subject): version \(SchemaListCommand.ranges(versions)) \(word)")
            return
        }
        let version = try store.delete(
            subject: subject.subject, VersionSelector(checking: name), permanently: permanent)
        Terminal.printLine("\(subject.subject): version \(version) \(word)")
    }
}

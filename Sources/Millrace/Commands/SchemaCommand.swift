import ArgumentParser
import ConnectorKit
import Glibc
import SchemaRegistry

/// `millrace schema`
struct SchemaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Read, register, compare and check the contracts of tables.",
        discussion: """
            The registry is a folder of files: SUBJECT/vN.schema.json is version N of a subject. Every command but \
            infer works without the database, and with --schemas FOLDER also without a configuration.
            """,
        subcommands: [
            SchemaListCommand.self, SchemaShowCommand.self, SchemaRegisterCommand.self, SchemaCheckCommand.self,
            SchemaDiffCommand.self, SchemaInferCommand.self, SchemaCompatibilityCommand.self,
            SchemaValidateCommand.self, SchemaDeleteCommand.self, SchemaAcceptCommand.self,
            SchemaClassesCommand.self, SchemaServeCommand.self,
        ])

    /// A subject that has no folder.
    static func unknown(_ subject: String, _ folder: SchemaFolder) -> ConnectorFailure {
        ConnectorFailure(
            "schema.unknown_subject", .stop, "there is no subject \(subject) in \(folder.directory)",
            setting: "schemas.directory", hint: "see which there are: millrace schema list", exitCode: 2)
    }
}

/// Where the schemas are.
struct SchemaOptions: ParsableArguments {
    @OptionGroup var shared: SharedOptions
    @Option(
        help: ArgumentHelp("The schema folder. Without it, the one that the configuration names.", valueName: "folder"))
    var schemas: String?

    /// The folder's path.
    func directory() throws -> String { try schemas ?? Project.load(shared.config).schemasDirectory }

    /// The registry over it.
    func store() throws -> SchemaStore { SchemaStore(directory: try directory()) }
}

/// A subject, and a version of it where one is named: `shop.public.orders@3`.
struct SubjectArgument: ExpressibleByArgument {
    /// The subject.
    var subject: String
    /// The version, `latest` or the name of a proposal; nil where none was named.
    var version: String?

    /// Behind the last `@` stands a version; an `@` before anything else belongs to the name.
    init(argument: String) {
        subject = argument
        guard let at = argument.lastIndex(of: "@") else { return }
        let name = String(argument[argument.index(after: at)...])
        if name == "latest" || Int(name) != nil || name.hasPrefix("proposed-") {
            (subject, version) = (String(argument[..<at]), name)
        }
    }
}

/// Files that are read once, whole.
enum InputFile {
    private static let byteCountMax = 1 << 30

    /// The bytes of a file, or of standard input for `-`.
    static func read(_ path: String) throws(ConnectorFailure) -> [UInt8] {
        let file = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw unreadable(path, errno) }
        defer { if path != "-" { close(file) } }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let got = Glibc.read(file, &block, block.count)
            if got == 0 { return bytes }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { throw unreadable(path, errno) }
            bytes += block.prefix(got)
            guard bytes.count <= byteCountMax else { throw unreadable(path, EFBIG) }
        }
    }

    private static func unreadable(_ path: String, _ error: Int32) -> ConnectorFailure {
        ConnectorFailure(
            "schema.input_unreadable", .stop, "\(path) cannot be read: \(String(cString: strerror(error)))",
            hint: "name a file that is there and that you may read, or - for standard input", exitCode: 2)
    }
}

import ArgumentParser
import Broker
import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import EventLog
import Glibc
import PipelineConfiguration
import Sensitivity

/// `millrace tail`
struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail", abstract: "Print events from the log, one JSON line each.",
        discussion: "Reads the log beside a running `millrace run`, and needs no connection to the database.")

    @OptionGroup var shared: SharedOptions
    @Argument(help: "Tables to show, by name or pattern: orders, public.*. All when none is given.")
    var tables: [String] = []
    @Option(
        help: ArgumentHelp(
            "Where to begin: earliest, latest, a log offset, or a UTC time (2026-11-21T10:00:00Z) of commit.",
            valueName: "position"))
    var from = "earliest"
    @Flag(name: .shortAndLong, help: "Wait for more events.")
    var follow = false
    @Option(help: "The form of the events: cloudevents, row or debezium.")
    var format = EventFormat.cloudEvents
    @OptionGroup var clearance: ClearanceOption

    func run() async throws {
        let start = try StartPosition(option: from)
        let project = try Project.load(shared.config)
        let reader = try LogReader(directory: project.logDirectory)
        let view = EventView(
            tables: tables.map { TablePattern($0) }, format: format,
            clearance: clearance.chosen ?? project.sensitivity.commands)
        var origin = project.eventOrigin
        origin.debezium = .forPrinting
        var reading = try EventReading(origin, view, from: try reader.offset(at: start))
        try Self.warn(of: tables, view.tables, reader)
        try await Self.begin(&reading, reader, project)
        while true {
            do throws(ConnectorFailure) {
                if reading.needsBatch {
                    guard let logged = try reader.read(from: reading.next) else {
                        if !follow { return }
                        usleep(50_000)
                        continue
                    }
                    try reading.take(logged)
                }
                guard let events = try reading.events(bytesMax: 1 << 20) else { continue }
                for record in events.records {
                    // The reader of a pipe that went away has seen enough.
                    guard Terminal.write(events.payload(of: record), to: 1), Terminal.printLine("") else { return }
                }
            } catch {
                throw project.located(error)
            }
        }
    }
}

extension TailCommand {
    /// Tells the reading what lies before its first event.
    private static func begin(
        _ reading: inout EventReading, _ reader: LogReader, _ project: Project
    ) async throws {
        do throws(ConnectorFailure) {
            try await reading.prepare(database: try reader.statistics().source?.fingerprint["database"]) {
                (offset) async throws(ConnectorFailure) in try reader.read(from: offset)
            }
        } catch {
            throw project.located(error)
        }
    }

    /// Says on standard error which tables the log has never heard of: they may come, and may as well be misspelt.
    private static func warn(
        of tables: [String], _ patterns: [TablePattern], _ reader: LogReader
    ) throws(ConnectorFailure) {
        if tables.isEmpty { return }
        let relations = try reader.statistics().relations.map(\.relation)
        for (table, pattern) in zip(tables, patterns)
        where !relations.contains(where: { pattern.matches(schema: $0.schema, table: $0.name) }) {
            let known = Set(relations.map(\.qualifiedName)).sorted().prefix(8).joined(separator: ", ")
            Terminal.printError("the log has no events of \(table) yet; it knows \(known.isEmpty ? "no table" : known)")
        }
    }
}

extension EventFormat: ExpressibleByArgument {
    /// CSV needs a first line, and so a file.
    public static var allValueStrings: [String] { allCases.filter { $0 != .csv }.map(\.rawValue) }

    /// The format of a name; nil for CSV too.
    public init?(argument: String) {
        guard let format = EventFormat(rawValue: argument), format != .csv else { return nil }
        self = format
    }
}

extension StartPosition {
    /// The value of `--from`.
    init(option text: String) throws(ConnectorFailure) {
        guard let position = StartPosition(text) else {
            throw ConnectorFailure(
                "usage.bad_position", .stop, "\(String(reflecting: text)) is no place in the log", setting: "--from",
                hint: "write \(Self.words)", exitCode: 2)
        }
        self = position
    }
}

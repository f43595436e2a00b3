import ArgumentParser
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
    var from = StartPosition.earliest
    @Flag(name: .shortAndLong, help: "Wait for more events.")
    var follow = false
    @Option(help: "The form of the events: cloudevents, row or debezium.")
    var format = EventFormat.cloudEvents
    @OptionGroup var clearance: ClearanceOption

    func run() async throws {
        let project = try Project.load(shared.config)
        let reader = try LogReader(directory: project.logDirectory)
        var clearing = try project.clearing(clearance.chosen)
        let encoder = ClearedEncoder(
            pipelineName: project.configuration.name, sourceKind: project.configuration.sourceKind, format: format,
            debezium: .forPrinting)
        let patterns = tables.map { TablePattern($0) }
        let isWanted = { (relation: Relation) in
            patterns.isEmpty || patterns.contains { $0.matches(schema: relation.schema, table: relation.name) }
        }
        try Self.warn(of: tables, patterns, reader)
        var offset = try reader.offset(at: from)
        let database = try reader.statistics().source?.fingerprint["database"]
        try await encoder.prepare(for: offset, database: database, clearing: &clearing, including: isWanted) {
            (offset) async throws(ConnectorFailure) in try reader.read(from: offset)
        }
        while true {
            guard let logged = try reader.read(from: offset) else {
                if !follow { return }
                usleep(50_000)
                continue
            }
            let cleared: ClearedBatch
            do throws(ConnectorFailure) {
                cleared = try clearing.apply(to: logged)
            } catch {
                throw project.located(error)
            }
            var index = Int(offset - logged.firstOffset)
            while index < logged.batch.changeCount {
                let part = try encoder.encode(cleared, from: index, bytesMax: 1 << 20, including: isWanted)
                for record in part.records.records {
                    // The reader of a pipe that went away has seen enough.
                    guard Terminal.write(part.records.payload(of: record), to: 1), Terminal.printLine("") else {
                        return
                    }
                }
                index = part.nextIndex
            }
            offset = logged.nextOffset
        }
    }
}

extension TailCommand {
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

extension StartPosition: ExpressibleByArgument {
    init?(argument: String) { self.init(argument) }
}

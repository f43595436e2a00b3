import ArgumentParser
import ConnectorKit
import EventLog
import PipelineConfiguration
import PostgresSource
import SQLiteSource

/// `millrace snapshot`
struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Read the rows of tables again, while running.",
        discussion: """
            The rows arrive as snapshot events between the changes. For PostgreSQL a truncate event comes first: \
            consumers forget the table and are told all of it. The request is durable: made while nothing runs, it is \
            carried out by the next `millrace run`.
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "Captured tables, by name or pattern: public.orders, public.*.")
    var tables: [String]
    @Option(help: ArgumentHelp("How long to wait for a running process to take it.", valueName: "seconds"))
    var wait = 10

    func run() async throws {
        let project = try Project.load(shared.config)
        do throws(ConnectorFailure) {
            // A run that refuses it may begin long after this command ended.
            try project.source.checkSnapshot(of: tables.map { TablePattern($0) })
            try await OperatorDesk(project).ask(.snapshot(tables: tables), patience: .seconds(max(0, wait)))
        } catch {
            throw project.located(error)
        }
    }
}

extension Project.SourceSettings {
    /// Throws for tables of a snapshot request that cannot be among the captured ones.
    fileprivate func checkSnapshot(of tables: [TablePattern]) throws(ConnectorFailure) {
        switch self {
        case .postgres(let settings): try settings.checkSnapshot(of: tables)
        case .sqlite(let settings): try settings.checkSnapshot(of: tables)
        }
    }
}

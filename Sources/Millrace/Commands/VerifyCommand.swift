import ArgumentParser
import ConnectorKit
import EventLog
import JSONText
import Pipeline
import PipelineConfiguration
import Sensitivity
import Verification

/// `millrace verify`
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Fold the events of the log and compare with the source's tables, key by key.",
        discussion: """
            Works beside a running `millrace run` and without one, while the tables change. Changes nothing. Ends with \
            0 when no difference was found, with 1 when there are any.
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "Tables to compare, by name or pattern: orders, public.*. All when none is given.")
    var tables: [String] = []
    @Flag(help: "Print one JSON object.")
    var json = false
    @Flag(help: "Print the keys of rows that differ, as far as the clearance shows them. Keys are data of your rows.")
    var showKeys = false
    @Flag(help: "End with 1 also when something could not be compared.")
    var strict = false
    @Option(
        help: ArgumentHelp(
            "A folder for the temporary file, which takes about as much as the tables. The log's folder by default.",
            valueName: "folder"))
    var scratch: String?
    @Option(help: ArgumentHelp("How many rows that differ are listed for each table.", valueName: "count"))
    var limit = 20
    @OptionGroup var clearance: ClearanceOption

    func run() async throws {
        let project = try Project.load(shared.config)
        let chosen = clearance.chosen
        let display = VerificationDisplay()
        let verifier = Verifier(
            log: try LogReader(directory: project.logDirectory), reader: project.makeTableReader(),
            patterns: tables.map { TablePattern($0) }, masks: project.masks, outbox: project.outbox,
            scratch: scratch ?? project.logDirectory,
            differencesMax: max(0, limit),
            hiddenColumns: { (relation) throws(ConnectorFailure) in
                var clearing = try project.clearing(chosen)
                return try clearing.hiddenColumns(
                    of: relation, subject: ContractBook.subject(of: relation, in: project.configuration.name))
            }, progress: display.show)
        let report: VerificationReport
        do throws(ConnectorFailure) {
            report = try await verifier.run()
        } catch {
            display.finish()
            throw project.located(error)
        }
        display.finish()
        let text = VerificationText(report: report, showsKeys: showKeys)
        Terminal.printLine(json ? text.json.compactText : text.lines.joined(separator: "\n"))
        if !report.isEqual || (strict && !report.isComplete) { throw RunEnd(exitCode: 1) }
    }
}

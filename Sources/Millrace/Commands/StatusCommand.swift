import ArgumentParser
import JSONText

/// `millrace status`
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how far source, log and sinks are.",
        discussion: "Reads the log beside a running `millrace run`, and asks the source's database.")

    @OptionGroup var shared: SharedOptions
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        let report = try await StatusReport(of: Project.load(shared.config))
        Terminal.printLine(json ? report.json.compactText : report.text)
    }
}

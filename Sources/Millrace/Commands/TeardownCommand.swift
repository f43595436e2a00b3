import ArgumentParser
import ConnectorKit
import EventLog
import Glibc
import PipelineConfiguration
import PostgresSource
import SQLiteSource

/// `millrace teardown`
struct TeardownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "teardown",
        abstract: "Drop what Millrace made in the source's database, after showing it.",
        discussion: """
            For PostgreSQL the slot and the publication, unless somebody else made it; for SQLite our triggers and \
            tables. Refuses while `millrace run` works. The log, the schemas and what sinks got stay.
            """)

    @OptionGroup var shared: SharedOptions
    @Flag(help: "Do not ask. Needed where no terminal can answer.")
    var yes = false

    func run() async throws {
        let project = try Project.load(shared.config)
        do throws(ConnectorFailure) {
            let hold = try LogHold(directory: project.logDirectory)
            try await tearDown(project)
            withExtendedLifetime(hold) {}
        } catch {
            throw project.located(error)
        }
    }

    private func tearDown(_ project: Project) async throws(ConnectorFailure) {
        let plan = try await project.teardownPlan()
        for line in plan.kept { Terminal.printLine("stays   \(line)") }
        for step in plan.steps { Terminal.printLine("drop    \(step.what)\n        \(step.statement)") }
        if plan.steps.isEmpty { return Self.done("nothing of Millrace is in the database", project) }
        if !yes {
            guard isatty(0) == 1, isatty(1) == 1 else {
                throw ConnectorFailure(
                    "teardown.not_confirmed", .stop, "nothing was dropped: nobody can be asked here",
                    hint: "millrace teardown --yes drops what is shown above", exitCode: 2)
            }
            Terminal.printText(
                "Drop all of this? What was not captured yet can then not be captured any more. [y/N] ")
            guard ["y", "yes"].contains(readLine()?.lowercased()) else {
                throw ConnectorFailure(
                    "teardown.not_confirmed", .stop, "nothing was dropped",
                    hint: "answer y, or repeat it with --yes", exitCode: 2)
            }
        }
        try await project.carryOut(plan)
        Self.done("dropped; nothing of Millrace is left in the database", project)
    }

    private static func done(_ line: String, _ project: Project) {
        Terminal.printLine("\(line). The log in \(project.logDirectory) stays: delete it before you begin anew.")
    }
}

extension Project {
    fileprivate func teardownPlan() async throws(ConnectorFailure) -> TeardownPlan {
        switch source {
        case .postgres(let settings): try await PostgresTeardown(settings).plan()
        case .sqlite(let settings): try SQLiteTeardown(settings).plan()
        }
    }

    fileprivate func carryOut(_ plan: TeardownPlan) async throws(ConnectorFailure) {
        switch source {
        case .postgres(let settings): try await PostgresTeardown(settings).carryOut(plan)
        case .sqlite(let settings): try SQLiteTeardown(settings).carryOut()
        }
    }
}

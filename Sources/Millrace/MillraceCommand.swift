package import ArgumentParser

/// `millrace`: the root of the command line.
package struct MillraceCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "millrace",
        abstract: "Turns the database you already have into a stream of events you can trust.",
        discussion: """
            Point it at PostgreSQL or SQLite: it captures every committed row change, keeps it in a durable ordered \
            log, and delivers it to your sinks at least once, each event under an id that never changes.

            Everything is configured in millrace.yaml (see docs/reference/configuration.md).

            EXIT CODES: 0 ok, 1 runtime, 2 configuration or usage, 3 environment (database, disk, network), \
            128 + signal.
            """,
        version: Version.text,
        subcommands: [
            RunCommand.self, StatusCommand.self, TailCommand.self, ReplayCommand.self, SnapshotCommand.self,
            VerifyCommand.self,
            SchemaCommand.self, DeadLettersCommand.self, DoctorCommand.self, TeardownCommand.self,
            GenerateCommand.self,
        ])

    package init() {}
}

/// Options that every command has.
struct SharedOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("The configuration file.", valueName: "file"))
    var config = "millrace.yaml"
}

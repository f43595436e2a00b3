import ArgumentParser
import ConnectorKit
import Glibc
import PipelineConfiguration
import SchemaRegistry

/// The program's entry: parses the command line, runs the command, and turns every way of ending into an exit code.
///
/// 0 ok, 1 runtime, 2 configuration or usage, 3 environment (database, disk, network), 128 + signal.
@main
enum Main {
    static func main() async {
        // A reader that went away (`millrace tail | head`) must be a failed write, not a signal.
        signal(SIGPIPE, SIG_IGN)
        Allocator.keepBatches()
        do {
            var command = try MillraceCommand.parseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch {
            exit(report(error))
        }
    }

    /// Prints what is to be said about `error` and gives the exit code.
    private static func report(_ error: any Error) -> Int32 {
        switch error {
        case let failure as ConnectorFailure:
            Terminal.printError(ErrorText.of(failure))
            return failure.exitCode
        case let failure as RegistryFailure:
            return report(failure.asConnectorFailure)
        case let located as LocatedFailure:
            Terminal.printError(ErrorText.of(located))
            return located.failure.exitCode
        case let problems as ConfigurationProblems:
            Terminal.printError(problems.rendered)
            return 2
        case let end as RunEnd:
            return end.exitCode
        case let code as ExitCode:
            return code.rawValue
        default:
            return usage(error)
        }
    }

    /// Help and version are no errors; anything else that the parser says is one of usage.
    private static func usage(_ error: any Error) -> Int32 {
        let text = MillraceCommand.fullMessage(for: error)
        if MillraceCommand.exitCode(for: error) == .success {
            if !text.isEmpty { Terminal.printLine(text) }
            return 0
        }
        guard MillraceCommand.exitCode(for: error) == .validationFailure else {
            Terminal.printError(text)
            return 1
        }
        Terminal.printError(ErrorText.of(usageFailure(MillraceCommand.message(for: error), whole: text)))
        return 2
    }

    /// What the parser says, in the form of every other error. `whole` is its own form, which names the command.
    private static func usageFailure(_ message: String, whole: String) -> ConnectorFailure {
        let help = whole.split(separator: "\n").last { $0.contains("--help'") }
        let command = help?.split(separator: "'").first { $0.contains("--help") }.map(String.init)
        let lines = message.split(separator: "\n")
        return ConnectorFailure(
            "usage.invalid", .stop, lines.first.map(String.init) ?? "the command line is not right",
            hint: (command ?? "millrace --help") + " shows what may stand there", exitCode: 2)
    }
}

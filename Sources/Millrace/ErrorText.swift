import ConnectorKit
import PipelineConfiguration

/// The form in which failures reach people: code, what, where, what to do next.
enum ErrorText {
    /// The lines for a failure, without a line feed at the end. What belongs to a setting is shown by its place in the
    /// file.
    static func of(_ failure: ConnectorFailure) -> String {
        var lines = ["error[\(failure.code)]: \(failure.message)"]
        if let setting = failure.setting { lines.append("  at   \(setting)") }
        if let hint = failure.hint {
            lines.append("  try  " + hint.split(separator: "\n").joined(separator: "\n       "))
        }
        return lines.joined(separator: "\n")
    }

    /// The lines for a failure with its place in the configuration file.
    static func of(_ located: LocatedFailure) -> String { located.problem?.rendered ?? of(located.failure) }
}

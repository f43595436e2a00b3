private import ConnectorKit

/// The form in which failures reach people: code, what, where, what to do next.
enum ErrorText {
    /// The lines for a failure, without a line feed at the end.
    static func of(_ failure: ConnectorFailure, location: String? = nil) -> String {
        var lines = ["error[\(failure.code)]: \(failure.message)"]
        let place = [failure.setting, location].compactMap { $0 }.joined(separator: ", ")
        if !place.isEmpty { lines.append("  at   \(place)") }
        if let hint = failure.hint { lines.append("  try  " + hint.split(separator: "\n").joined(separator: "\n       ")) }
        return lines.joined(separator: "\n")
    }
}

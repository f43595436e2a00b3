/// A place in a text file, counted from 1 as editors do.
package struct FilePosition: Sendable, Hashable, Comparable {
    /// The line.
    package var line: Int
    /// The column, in Unicode scalars.
    package var column: Int

    /// A place of its parts.
    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// Earlier in the file is less.
    package static func < (a: FilePosition, b: FilePosition) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// One thing that is wrong with a configuration file, or with a part of the pipeline that a setting names.
///
/// Messages and hints never hold the value of a secret setting, nor any value that came from the environment.
package struct ConfigurationProblem: Error, Sendable, Equatable {
    /// A stable code, such as `config.unknown_key`. Every code stands in `docs/reference/errors.md`.
    package var code: String
    /// What is wrong, in one sentence.
    package var message: String
    /// The setting, such as `sinks.archive.file.path`; nil when the file as a whole is meant.
    package var path: String?
    /// The file as the user named it.
    package var file: String
    /// The place in the file; nil when there is none, such as for a file that cannot be read.
    package var position: FilePosition?
    /// What to do next.
    package var hint: String?

    /// A problem of its parts.
    package init(
        _ code: String, _ message: String, path: String? = nil, file: String, position: FilePosition? = nil,
        hint: String? = nil
    ) {
        self.code = code
        self.message = message
        self.path = path
        self.file = file
        self.position = position
        self.hint = hint
    }

    /// The problem as the command line shows it, without a newline at the end:
    ///
    ///     error[config.unknown_key]: unknown key "pth"
    ///       at   sinks.archive.file.pth, millrace.yaml:12:7
    ///       try  did you mean "path"?
    package var rendered: String {
        var place = file
        if let position { place += ":\(position.line):\(position.column)" }
        if let path { place = "\(path), \(place)" }
        var text = "error[\(code)]: \(message)\n  at   \(place)"
        if let hint { text += "\n  try  \(hint)" }
        return text
    }
}

/// Everything that is wrong with a configuration file, in the order of its lines.
package struct ConfigurationProblems: Error, Sendable, Equatable {
    /// At most this many problems are kept: a file of the wrong kind would bring thousands.
    package static let countMax = 100

    /// The problems. Never empty.
    package var problems: [ConfigurationProblem]
    /// How many more there were.
    package var omitted: Int

    /// The problems in the order of their lines; the list must not be empty.
    package init(_ found: [ConfigurationProblem]) {
        let start = FilePosition(line: 0, column: 0)
        let ordered = found.enumerated().sorted { a, b in
            let (left, right) = (a.element.position ?? start, b.element.position ?? start)
            return left == right ? a.offset < b.offset : left < right
        }
        problems = ordered.prefix(Self.countMax).map(\.element)
        omitted = found.count - problems.count
    }

    /// The problems as the command line shows them, one after the other, without a newline at the end.
    package var rendered: String {
        var text = problems.map(\.rendered).joined(separator: "\n")
        if omitted > 0 { text += "\nand \(omitted) more" }
        return text
    }
}

/// Text of the user's file inside of quotes, safe to print: cut to 60 characters, control characters escaped.
func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars.prefix(60) {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator:
            result += "\\u{\(String(scalar.value, radix: 16))}"
        default:
            result.unicodeScalars.append(scalar)
        }
    }
    return result + (text.unicodeScalars.count > 60 ? "…\"" : "\"")
}

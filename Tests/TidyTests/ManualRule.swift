import Foundation

/// What the manual must have, and must not have any longer.
enum ManualRule {
    /// The places where an error or setting is named.
    struct Named: Equatable {
        var name: String
        var path: String
        var line: Int
    }

    /// Literals of a code's form that are no codes: settings of the configuration.
    static let notCodes: Set<String> = ["log.acknowledge", "sensitivity.masks", "sensitivity.commands"]
    /// Modules whose failures no user meets.
    private static let testingModules = ["Sources/ConnectorTesting/"]
    /// What stands before literals of a code's form that are no codes.
    private static let notCodeCalls = ["HaltPoint(", "setting:"]
    /// What stands before literals that are codes, whatever their first word is.
    private static let codeCalls = ["ConnectorFailure(", "ConfigurationProblem(", "report("]
    private static let parts: Set<Substring> = [
        "postgres", "sqlite", "file", "log", "schema", "config", "pipeline", "outbox", "command", "event",
        "sensitivity", "http", "delivery", "webhook", "nats",
    ]

    /// True for `part.what`, whether the part is known or not.
    static func isCode(_ text: some StringProtocol) -> Bool {
        let words = String(text).split(separator: ".", omittingEmptySubsequences: false)
        return words.count == 2
            && words.allSatisfy { word in
                !word.isEmpty && word.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "_") }
            }
    }

    /// The failure codes that a file can give.
    static func codes(_ file: RepositoryFile) -> [Named] {
        guard !testingModules.contains(where: file.path.hasPrefix) else { return [] }
        return SwiftText(file.text).literals.filter { literal in
            guard isCode(literal.text), !notCodes.contains(literal.text) else { return false }
            if notCodeCalls.contains(where: literal.before.hasSuffix) { return false }
            return codeCalls.contains(where: literal.before.hasSuffix) || parts.contains(part(of: literal.text))
        }.map { Named(name: $0.text, path: file.path, line: $0.line) }
    }

    private static func part(of code: String) -> Substring { code.prefix { $0 != "." } }

    /// The codes that the manual explains: each begins a row of a table.
    static func explainedCodes(_ manual: RepositoryFile) -> [Named] {
        zip(1..., manual.lines).compactMap { number, line in
            let cells = line.split(separator: "`", maxSplits: 2, omittingEmptySubsequences: false)
            guard cells.count == 3, cells[0] == "| ", isCode(cells[1]) else { return nil }
            return Named(name: String(cells[1]), path: manual.path, line: number)
        }
    }

    /// Codes without an explanation, and explanations without a code.
    static func violations(codes: [Named], manual: RepositoryFile) -> [Violation] {
        let explained = explainedCodes(manual)
        let known = Set(explained.map(\.name))
        let used = Set(codes.map(\.name))
        let missing = codes.filter { !known.contains($0.name) }.map {
            Violation(path: $0.path, line: $0.line, remedy: "explain \($0.name) in \(manual.path)")
        }
        let stale = explained.filter { !used.contains($0.name) }.map {
            Violation(path: $0.path, line: $0.line, remedy: "nothing gives \($0.name) any longer: take it out")
        }
        let names = explained.map(\.name)
        let twice = explained.enumerated().filter { names[..<$0.offset].contains($0.element.name) }.map {
            Violation(path: $0.element.path, line: $0.element.line, remedy: "\($0.element.name) is explained twice")
        }
        return missing + stale + twice
    }

    /// Links of a Markdown file to files that are not there. Addresses of the web and places in the same file pass.
    static func brokenLinks(_ manual: RepositoryFile, exists: (String) -> Bool) -> [Violation] {
        let folder = manual.path.split(separator: "/").dropLast().map(String.init)
        return zip(1..., manual.lines).flatMap { number, line in
            line.split(separator: "](", omittingEmptySubsequences: false).dropFirst().compactMap { rest -> Violation? in
                let target = rest.prefix { $0 != ")" && $0 != "#" }
                guard !target.isEmpty, !target.contains("://") else { return nil }
                var parts = folder
                for part in target.split(separator: "/") where part != "." {
                    if part == ".." { _ = parts.popLast() } else { parts.append(String(part)) }
                }
                if exists(parts.joined(separator: "/")) { return nil }
                return Violation(path: manual.path, line: number, remedy: "the link to \(target) leads nowhere")
            }
        }
    }

    /// The commands that a file of the program declares.
    static func commands(_ file: RepositoryFile) -> [String] {
        SwiftText(file.text).literals.filter { $0.before.hasSuffix("commandName:") }.map(\.text)
    }

    /// Places that tell the user to run a command that there is not: in texts of the program, in the manual after a
    /// backtick or at the beginning of a line.
    static func unknownCommands(_ file: RepositoryFile, known: Set<String>) -> [Violation] {
        let isManual = file.path.hasSuffix(".md")
        let texts =
            isManual
            ? zip(1..., file.lines).map { ($0, String($1)) }
            : SwiftText(file.text).literals.map { ($0.line, $0.text) }
        let word = isManual ? /(?:^|`)millrace ([a-z]+)/ : /\bmillrace ([a-z]+)/
        return texts.flatMap { line, text in
            text.matches(of: word).filter { !known.contains(String($0.1)) }.map {
                Violation(path: file.path, line: line, remedy: "there is no command millrace \($0.1)")
            }
        }
    }

    /// The settings that a file declares.
    static func settings(_ file: RepositoryFile) -> [Named] {
        SwiftText(file.text).literals.filter { $0.before.hasSuffix("Setting(") && !$0.before.hasSuffix("_Setting(") }
            .map { Named(name: $0.text, path: file.path, line: $0.line) }
    }

    /// Settings that the manual does not have.
    static func violations(settings: [Named], manual: RepositoryFile) -> [Violation] {
        settings.filter { setting in
            !manual.text.contains("`\(setting.name)`") && !manual.text.contains(".\(setting.name)`")
        }.map { setting in
            let remedy = "\(setting.name) is not in \(manual.path): generate it again"
            return Violation(path: setting.path, line: setting.line, remedy: remedy)
        }
    }
}

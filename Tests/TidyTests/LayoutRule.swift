/// How a file looks on the page.
enum LayoutRule {
    /// White space and the end of the file.
    static func violations(_ file: RepositoryFile) -> [Violation] {
        var violations: [Violation] = []
        for (number, line) in zip(1..., file.lines) {
            if line.last == " " || line.last == "\t" || line.last == "\r" {
                violations.append(
                    Violation(path: file.path, line: number, remedy: "white space at the end: take it out"))
            }
            if line.contains("\t") {
                violations.append(Violation(path: file.path, line: number, remedy: "a tab: indent with spaces"))
            }
        }
        if !file.text.hasSuffix("\n") || file.text.hasSuffix("\n\n") {
            violations.append(
                Violation(path: file.path, line: file.lines.count, remedy: "end the file with one newline"))
        }
        return violations
    }

    /// How many lines a file has.
    static func length(_ file: RepositoryFile) -> Ratchet.Count {
        Ratchet.Count(path: file.path, name: file.path, number: file.text.count { $0 == "\n" })
    }

    /// How many lines are wider than 120 columns; a line with a web address may be.
    static func wideLines(_ file: RepositoryFile) -> Ratchet.Count {
        let wide = zip(1..., file.lines).filter { $1.count > 120 && !$1.contains("://") }.map(\.0)
        return Ratchet.Count(path: file.path, line: wide.first ?? 1, name: file.path, number: wide.count)
    }

    /// How many lines each function has.
    static func functionLengths(_ file: RepositoryFile) -> [Ratchet.Count] {
        FunctionScanner(SwiftText(file.text)).extents.map { extent in
            Ratchet.Count(
                path: file.path, line: extent.line, name: "\(file.path): \(extent.name)", number: extent.lineCount)
        }
    }
}

/// What shell scripts must be.
enum ScriptRule {
    /// True for files with a shell's first line, and for those that are only sourced.
    static func isScript(_ file: RepositoryFile) -> Bool {
        file.name.hasSuffix(".sh") || (file.text.hasPrefix("#!") && (file.lines.first ?? "").hasSuffix("sh"))
    }

    /// The shell that a script asks for.
    static func shell(of file: RepositoryFile) -> String { (file.lines.first ?? "").hasSuffix("bash") ? "bash" : "sh" }

    /// Scripts are executable, and stop at the first command that fails. Those in `scripts/lib` are sourced instead.
    static func violations(_ file: RepositoryFile, isExecutable: Bool) -> [Violation] {
        let isSourced = file.path.hasPrefix("scripts/lib/")
        var violations: [Violation] = []
        if !isSourced, !isExecutable {
            violations.append(Violation(path: file.path, line: 1, remedy: "make it executable: chmod +x"))
        }
        if !isSourced, !file.lines.contains(where: { $0.hasPrefix("set -e") }) {
            violations.append(Violation(path: file.path, line: 1, remedy: "begin with set -eu"))
        }
        return violations
    }
}

/// What swift-format says.
enum FormatRule {
    /// How many findings there are in each file, from lines such as `Sources/A/B.swift:3:1: error: …`.
    static func counts(_ output: String) -> [Ratchet.Count] {
        var counts: [Ratchet.Count] = []
        for line in output.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 3)
            guard parts.count == 4, let number = Int(parts[1]), Int(parts[2]) != nil else { continue }
            let name = String(parts[0])
            let path = name.hasPrefix(Repository.root + "/") ? String(name.dropFirst(Repository.root.count + 1)) : name
            if let index = counts.firstIndex(where: { $0.path == path }) {
                counts[index].number += 1
            } else {
                counts.append(Ratchet.Count(path: path, line: number, name: path, number: 1))
            }
        }
        return counts
    }
}

/// Finds where a key stands for the second time.
///
/// The library only says where the first one is. The second is the next place after it that reads like the same key of
/// the same mapping: in a block the same column, in braces no matter where. A wrong guess does no harm: the file is
/// refused anyway, and only the line of one message is meant.
enum DuplicateKey {
    /// The second key, without quotes around it.
    struct Place {
        var position: FilePosition
        var range: Range<String.Index>
    }

    static func find(_ name: String, after first: FilePosition, in text: String) -> Place? {
        guard !name.isEmpty else { return nil }
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard first.line >= 1, first.line <= lines.count else { return nil }
        let start = lines[first.line - 1]
        if let place = find(name, in: start, line: first.line, from: first.column + 1) { return place }
        for (number, line) in zip((first.line + 1)..., lines[first.line...]) {
            guard let place = find(name, in: line, line: number, from: 1) else { continue }
            let isFlow = line[..<place.range.lowerBound].contains { $0 == "{" || $0 == "," }
            if isFlow || abs(place.position.column - first.column) <= 1 { return place }
        }
        return nil
    }

    /// A key of the same length that no file has: from a private area of Unicode.
    static func standIn(for name: String, number: Int) -> String {
        let scalars = (0..<max(1, name.unicodeScalars.count)).map { index in
            Unicode.Scalar(UInt32(0xE000 + (index == 0 ? number : 0))) ?? "\u{E000}"
        }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }

    /// The name as a key in a line: nothing of a word before it, a colon after it.
    private static func find(_ name: String, in line: Substring, line number: Int, from column: Int) -> Place? {
        var rest = line.unicodeScalars.dropFirst(column - 1)[...]
        while let range = Substring(rest).firstRange(of: name) {
            let before = line[..<range.lowerBound].last
            let after = line[range.upperBound...].drop { $0 == "\"" || $0 == "'" || $0 == " " }
            if before.map({ " \t{,\"'".contains($0) }) ?? true, after.first == ":" {
                let column = line[..<range.lowerBound].unicodeScalars.count + 1
                return Place(position: FilePosition(line: number, column: column), range: range)
            }
            rest = line[range.upperBound...].unicodeScalars[...]
        }
        return nil
    }
}

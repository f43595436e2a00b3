/// Subjects with wildcards, as streams declare them: `*` stands for one token, a last `>` for one or more.
struct SubjectPattern: Sendable, Equatable {
    let tokens: [Substring]

    init(_ text: String) { tokens = text.split(separator: ".", omittingEmptySubsequences: false) }

    var text: String { tokens.joined(separator: ".") }

    /// True when some subject fits both.
    func overlaps(_ other: SubjectPattern) -> Bool {
        for index in 0..<max(tokens.count, other.tokens.count) {
            guard index < tokens.count, index < other.tokens.count else { return false }
            let (mine, theirs) = (tokens[index], other.tokens[index])
            if mine == ">" || theirs == ">" { return true }
            if mine != theirs && mine != "*" && theirs != "*" { return false }
        }
        return true
    }

    /// True when every subject that fits the other fits this too.
    func covers(_ other: SubjectPattern) -> Bool {
        for index in 0..<max(tokens.count, other.tokens.count) {
            guard index < tokens.count, index < other.tokens.count else { return false }
            let (mine, theirs) = (tokens[index], other.tokens[index])
            if mine == ">" { return true }
            if theirs == ">" || (mine != "*" && mine != theirs) { return false }
        }
        return true
    }
}

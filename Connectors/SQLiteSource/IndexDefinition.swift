/// The parts of a CREATE INDEX statement that no pragma tells: expressions and the condition of a partial index.
struct IndexDefinition: Equatable {
    /// The indexed terms in order, without ASC and DESC, with their COLLATE.
    var terms: [String]
    /// The condition of a partial index.
    var predicate: String?

    /// Reads the statement as sqlite_schema keeps it; nil when it is not in the known form.
    init?(sql: String) {
        let (tokens, bytes) = SQLTokenizer.tokens(sql)
        guard let open = tokens.firstIndex(where: { Self.is($0, "(", bytes) }) else { return nil }
        var depth = 0
        var termStart = open + 1
        var terms: [String] = []
        var close: Int?
        for index in open..<tokens.count where close == nil {
            if Self.is(tokens[index], "(", bytes) { depth += 1 }
            if Self.is(tokens[index], ")", bytes) { depth -= 1 }
            let endsTerm = depth == 0 || (depth == 1 && Self.is(tokens[index], ",", bytes))
            guard endsTerm else { continue }
            guard let term = Self.term(tokens[termStart..<index], bytes) else { return nil }
            terms.append(term)
            termStart = index + 1
            if depth == 0 { close = index }
        }
        guard let close else { return nil }
        self.terms = terms
        let rest = tokens[(close + 1)...]
        guard let first = rest.first else { return }
        guard Self.is(first, "where", bytes), rest.count > 1 else { return nil }
        predicate = Self.text(rest.dropFirst(), bytes)
    }

    private static func term(_ tokens: ArraySlice<SQLToken>, _ bytes: [UInt8]) -> String? {
        var tokens = tokens
        if let last = tokens.last, `is`(last, "asc", bytes) || `is`(last, "desc", bytes) { tokens.removeLast() }
        return tokens.isEmpty ? nil : text(tokens, bytes)
    }

    /// The text of the tokens with one space between them, so that no comment comes along.
    private static func text(_ tokens: ArraySlice<SQLToken>, _ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        var end: Int?
        for token in tokens {
            if let end, end != token.range.lowerBound { result.append(0x20) }
            result += bytes[token.range]
            end = token.range.upperBound
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func `is`(_ token: SQLToken, _ word: String, _ bytes: [UInt8]) -> Bool {
        guard token.kind == .word || token.kind == .symbol else { return false }
        return SQLText.folded(String(decoding: bytes[token.range], as: UTF8.self)) == word
    }
}

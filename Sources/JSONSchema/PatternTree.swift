/// A regular expression without back references, assertions in its middle and letters beyond ASCII: what an automaton
/// can search for.
indirect enum PatternTree {
    /// One character of a set.
    case set(SymbolSet)
    case sequence([PatternTree])
    case choice([PatternTree])
    /// So many times at least, and at most when there is such a number.
    case repeated(PatternTree, Int, Int?)
    /// The beginning, and the end, of the text.
    case start, end
}

/// Reads an expression that ``PatternDialect`` and PCRE2 have accepted. Whatever it does not know it does not read.
struct PatternTreeReader {
    private struct Unknown: Error {}

    private var rest: Substring.UnicodeScalarView
    private var depth = 0

    private static let depthMax = 100
    private static let countMax = 1_000

    /// The tree of an expression; nil when there is none.
    static func tree(_ source: String) -> PatternTree? {
        var reader = PatternTreeReader(rest: Substring(source).unicodeScalars)
        guard let tree = try? reader.choice(), reader.rest.isEmpty else { return nil }
        return tree
    }

    private init(rest: Substring.UnicodeScalarView) { self.rest = rest }

    private mutating func choice() throws(Unknown) -> PatternTree {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.depthMax else { throw Unknown() }
        var branches = [try sequence()]
        while rest.first == "|" {
            rest.removeFirst()
            branches.append(try sequence())
        }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    private mutating func sequence() throws(Unknown) -> PatternTree {
        var parts: [PatternTree] = []
        while let scalar = rest.first, scalar != "|", scalar != ")" {
            rest.removeFirst()
            if scalar == "^" || scalar == "$" {
                // Repeated they mean something else in each dialect.
                if let next = rest.first, "*+?{".unicodeScalars.contains(next) { throw Unknown() }
                parts.append(scalar == "^" ? .start : .end)
            } else {
                parts.append(try quantified(try atom(scalar)))
            }
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func atom(_ scalar: Unicode.Scalar) throws(Unknown) -> PatternTree {
        switch scalar {
        case ".": return .set(SymbolSet.lineEnds.inverted)
        case "[": return .set(try set())
        case "\\": return .set(try escape().set)
        case "(": return try group()
        case "*", "+", "?": throw Unknown()
        default: return .set(try Self.single(scalar))
        }
    }

    private mutating func group() throws(Unknown) -> PatternTree {
        if rest.first == "?" {
            rest.removeFirst()
            switch rest.popFirst() {
            case ":": break
            case "<":
                guard let first = rest.first, first != "=", first != "!" else { throw Unknown() }
                while let scalar = rest.popFirst(), scalar != ">" {}
            default: throw Unknown()
            }
        }
        let tree = try choice()
        guard rest.popFirst() == ")" else { throw Unknown() }
        return tree
    }

    private mutating func quantified(_ tree: PatternTree) throws(Unknown) -> PatternTree {
        guard let mark = rest.first, "*+?{".unicodeScalars.contains(mark) else { return tree }
        // A brace that is no count begins the next atom.
        guard let (least, most) = mark == "{" ? try count() : Self.count(of: mark) else { return tree }
        if mark != "{" { rest.removeFirst() }
        if rest.first == "?" { rest.removeFirst() }
        if let next = rest.first, "*+?{".unicodeScalars.contains(next) { throw Unknown() }
        return .repeated(tree, least, most)
    }

    private static func count(of mark: Unicode.Scalar) -> (Int, Int?)? {
        switch mark {
        case "*": (0, nil)
        case "+": (1, nil)
        default: (0, 1)
        }
    }

    /// Passes `{2}`, `{2,}` or `{2,3}`; nil, and nothing passed, when the brace stands for itself.
    private mutating func count() throws(Unknown) -> (Int, Int?)? {
        guard let end = rest.prefix(PatternDialect.countLengthMax + 1).firstIndex(of: "}") else { return nil }
        let text = String(rest.dropFirst().prefix(upTo: end))
        let parts = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, !first.isEmpty,
            parts.allSatisfy({ $0.allSatisfy(\.isDigit) })
        else { return nil }
        rest = rest[rest.index(after: end)...]
        guard let least = Int(Substring(first)), least <= Self.countMax else { throw Unknown() }
        guard parts.count == 2 else { return (least, least) }
        if parts[1].isEmpty { return (least, nil) }
        guard let most = Int(Substring(parts[1])), least...Self.countMax ~= most else { throw Unknown() }
        return (least, most)
    }
}

// MARK: - Characters

extension PatternTreeReader {
    private static func single(_ scalar: Unicode.Scalar) throws(Unknown) -> SymbolSet {
        guard scalar.isASCII else { throw Unknown() }
        return SymbolSet(Int(scalar.value)...Int(scalar.value))
    }

    /// What stands between brackets, up to and with the closing one.
    private mutating func set() throws(Unknown) -> SymbolSet {
        var found = SymbolSet.none
        let isInverted = rest.first == "^"
        if isInverted { rest.removeFirst() }
        while let scalar = rest.popFirst() {
            if scalar == "]" { return isInverted ? found.inverted : found }
            let (first, start) = try member(scalar)
            guard rest.first == "-", rest.dropFirst().first != "]" else {
                found = found.union(first)
                continue
            }
            // A range, unless one end is a set by itself.
            rest.removeFirst()
            guard let next = rest.popFirst(), let start, let end = try member(next).scalar, start <= end else {
                throw Unknown()
            }
            found = found.union(SymbolSet(start...end))
        }
        throw Unknown()
    }

    /// A character of a set, or a set in it.
    private mutating func member(_ scalar: Unicode.Scalar) throws(Unknown) -> (set: SymbolSet, scalar: Int?) {
        if scalar == "\\" { return try escape() }
        return (try Self.single(scalar), Int(scalar.value))
    }

    /// What stands behind a backslash.
    private mutating func escape() throws(Unknown) -> (set: SymbolSet, scalar: Int?) {
        guard let letter = rest.popFirst(), letter.isASCII else { throw Unknown() }
        let value: UInt32
        switch letter {
        case "d": return (.digits, nil)
        case "D": return (SymbolSet.digits.inverted, nil)
        case "w": return (.word, nil)
        case "W": return (SymbolSet.word.inverted, nil)
        case "s": return (.space, nil)
        case "S": return (SymbolSet.space.inverted, nil)
        case "t": value = 9
        case "n": value = 10
        case "v": value = 11
        case "f": value = 12
        case "r": value = 13
        case "0": value = 0
        case "x": value = try hex(2)
        case "u": value = try hex(4)
        default:
            guard !letter.properties.isAlphabetic, !("0"..."9").contains(letter) else { throw Unknown() }
            value = letter.value
        }
        guard value < 0x80 else { throw Unknown() }
        return (SymbolSet(Int(value)...Int(value)), Int(value))
    }

    private mutating func hex(_ count: Int) throws(Unknown) -> UInt32 {
        let digits = String(rest.prefix(count))
        guard digits.utf8.count == count, digits.utf8.allSatisfy(\.isHexDigit), let value = UInt32(digits, radix: 16)
        else { throw Unknown() }
        rest.removeFirst(count)
        return value
    }
}

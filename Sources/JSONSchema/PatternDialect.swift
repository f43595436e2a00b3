/// Rewrites what ECMA-262 (section 22.2) and PCRE2 (pcre2pattern(3)) read differently, and refuses what only PCRE2 has.
///
/// Two things are read as most people write them though the Unicode flag forbids them: a brace or bracket that closes
/// or repeats nothing stands for itself, and so does a punctuation mark behind a backslash.
struct PatternDialect {
    private var output = String.UnicodeScalarView()
    private var rest: Substring.UnicodeScalarView
    private var isInClass = false
    /// True directly behind something in a class that stands for many characters.
    private var isBehindSet = false

    /// A count with its closing brace is not longer.
    static let countLengthMax = 64

    private init(_ source: String) { rest = Substring(source).unicodeScalars }

    /// The expression in PCRE2's words.
    static func pcre(_ source: String) throws(PatternProblem) -> String {
        var dialect = PatternDialect(source)
        while let scalar = dialect.rest.popFirst() { try dialect.take(scalar) }
        return String(dialect.output)
    }

    private mutating func take(_ scalar: Unicode.Scalar) throws(PatternProblem) {
        let wasBehindSet = isBehindSet
        isBehindSet = false
        if scalar == "\\" { return try takeEscape() }
        if isInClass { return takeInClass(scalar, wasBehindSet) }
        switch scalar {
        case "[" where rest.first == "]":
            // PCRE2 does not repeat a class of nothing, not even no times, unless it stands in a group.
            rest.removeFirst()
            add("(?:[])")
        case "[":
            isInClass = true
            add("[")
            if rest.first == "^" {
                rest.removeFirst()
                add("^")
            }
        case "]": add("\\]")
        case "}": add("\\}")
        case "{":
            guard let count = takeCount() else { return add("\\{") }
            add(count)
            try takeQuantifierEnd()
        case "*", "+", "?":
            output.append(scalar)
            try takeQuantifierEnd()
        case "(":
            guard isGroup else { throw Self.problem("behind \"(\" stands what ECMA-262 does not have") }
            add("(")
            if rest.first == "?" {
                rest.removeFirst()
                add("?")
            }
        case ".": add("[^\\n\\r\\x{2028}\\x{2029}]")
        default: output.append(scalar)
        }
    }

    private mutating func takeInClass(_ scalar: Unicode.Scalar, _ wasBehindSet: Bool) {
        switch scalar {
        case "]":
            isInClass = false
            add("]")
        case "[": add("\\[")
        // Behind a set it can begin no range.
        case "-" where wasBehindSet && rest.first != "]": add("\\-")
        default: output.append(scalar)
        }
    }

    /// `{2}`, `{2,}` or `{2,3}` behind the brace.
    private mutating func takeCount() -> String? {
        // Longer ones are no counts that are supported, and a brace far away is not looked for again and again.
        guard let end = rest.prefix(Self.countLengthMax).firstIndex(of: "}") else { return nil }
        let text = String(rest[..<end])
        let parts = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, !first.isEmpty,
            parts.allSatisfy({ $0.allSatisfy(\.isDigit) })
        else { return nil }
        rest = rest[rest.index(after: end)...]
        return "{\(text)}"
    }

    /// What may stand behind a quantifier; PCRE2 takes a plus for a quantifier of another kind.
    private mutating func takeQuantifierEnd() throws(PatternProblem) {
        if rest.first == "?" {
            rest.removeFirst()
            add("?")
        }
        if let next = rest.first, "*+?".unicodeScalars.contains(next) {
            throw Self.problem("\"\(next)\" has nothing to repeat")
        }
    }

    /// True behind `(` for the groups that ECMA-262 has; PCRE2 has many more, and verbs.
    private var isGroup: Bool {
        if rest.first == "*" { return false }
        guard rest.first == "?" else { return true }
        let start = Array(rest.dropFirst().prefix(2))
        guard let first = start.first else { return false }
        if first == ":" || first == "=" || first == "!" { return true }
        guard first == "<", start.count == 2 else { return false }
        return start[1] == "=" || start[1] == "!" || start[1] == "_" || start[1].properties.isAlphabetic
    }

    private mutating func add(_ text: String) { output.append(contentsOf: text.unicodeScalars) }

    private static func problem(_ message: String) -> PatternProblem {
        PatternProblem(message: "it is no regular expression of ECMA-262: \(message)")
    }
}

// MARK: - Escapes

extension PatternDialect {
    /// White space as ECMA-262 has it: Unicode's, and U+FEFF.
    private static let space =
        "\\t-\\r\\x20\\xA0\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}\\x{FEFF}"
    /// Everything else, for use inside of a class.
    private static let noSpace =
        "\\x00-\\x08\\x0E-\\x1F\\x21-\\x9F\\xA1-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}"
        + "\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{FEFE}\\x{FF00}-\\x{10FFFF}"

    private mutating func takeEscape() throws(PatternProblem) {
        guard let letter = rest.popFirst() else { throw Self.problem("a backslash at the end") }
        guard let text = escaped(letter) else { throw Self.problem("\"\\\(letter)\" is no escape") }
        add(text)
    }

    private mutating func escaped(_ letter: Unicode.Scalar) -> String? {
        switch letter {
        case "d", "D", "w", "W":
            isBehindSet = true
            return "\\\(letter)"
        case "s", "S":
            isBehindSet = true
            if isInClass { return letter == "s" ? Self.space : Self.noSpace }
            return (letter == "s" ? "[" : "[^") + Self.space + "]"
        case "p", "P":
            isBehindSet = true
            return property(letter)
        case "t", "n", "r", "f": return "\\\(letter)"
        case "v": return "\\x0B"
        case "b": return isInClass ? "\\x08" : "\\b"
        case "B": return isInClass ? nil : "\\B"
        case "0": return rest.first.map { ("0"..."9").contains($0) } ?? false ? nil : "\\x00"
        case "1"..."9": return backReference(letter)
        case "k": return isInClass || rest.first != "<" ? nil : "\\k"
        case "c":
            guard let control = rest.popFirst(), control.isASCII, control.properties.isAlphabetic else { return nil }
            return "\\x{\(String(control.value % 32, radix: 16))}"
        case "x": return takeHex(2).map { "\\x{\(String($0, radix: 16))}" }
        case "u": return takeUnicode().map { "\\x{\(String($0, radix: 16))}" }
        default:
            // PCRE2 gives letters and digits a meaning of its own.
            return letter.isASCII && !letter.properties.isAlphabetic ? "\\\(letter)" : nil
        }
    }

    /// PCRE2 takes `\10` for an octal number where there are fewer groups.
    private mutating func backReference(_ first: Unicode.Scalar) -> String? {
        if isInClass { return nil }
        var number = String(first)
        while let digit = rest.first, ("0"..."9").contains(digit) {
            number.unicodeScalars.append(digit)
            rest.removeFirst()
        }
        return "\\g{\(number)}"
    }

    private mutating func takeUnicode() -> UInt32? {
        if rest.first == "{" {
            rest.removeFirst()
            guard let end = rest.firstIndex(of: "}"), let value = Self.hex(rest[..<end]), Unicode.Scalar(value) != nil
            else { return nil }
            rest = rest[rest.index(after: end)...]
            return value
        }
        guard let unit = takeHex(4) else { return nil }
        guard unit >> 10 == 0xD800 >> 10 else { return Unicode.Scalar(unit) == nil ? nil : unit }
        guard rest.popFirst() == "\\", rest.popFirst() == "u", let low = takeHex(4), low >> 10 == 0xDC00 >> 10
        else { return nil }
        return 0x10000 + ((unit & 0x3FF) << 10 | low & 0x3FF)
    }

    private mutating func takeHex(_ count: Int) -> UInt32? {
        let digits = rest.prefix(count)
        guard digits.count == count, let value = Self.hex(digits) else { return nil }
        rest.removeFirst(count)
        return value
    }

    private static func hex(_ digits: Substring.UnicodeScalarView) -> UInt32? {
        guard digits.allSatisfy({ $0.isASCII && $0.properties.isASCIIHexDigit }) else { return nil }
        return UInt32(String(digits), radix: 16)
    }

    /// `\p{Letter}`, `\p{Lu}`, `\p{General_Category=L}`, `\p{Script=Greek}`: PCRE2 knows the short names.
    private mutating func property(_ letter: Unicode.Scalar) -> String? {
        guard rest.popFirst() == "{", let end = rest.firstIndex(of: "}") else { return nil }
        let name = rest[..<end]
        rest = rest[rest.index(after: end)...]
        let isName = name.allSatisfy {
            $0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil || $0 == "_" || $0 == "=")
        }
        guard isName else { return nil }
        let parts = name.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
        let known: String
        switch (parts.first, parts.count) {
        case (let name?, 1): known = Self.longNames[name] ?? name
        case ("Script", 2), ("sc", 2): known = "sc:" + parts[1]
        case ("Script_Extensions", 2), ("scx", 2): known = "scx:" + parts[1]
        case ("General_Category", 2), ("gc", 2): known = Self.longNames[parts[1]] ?? parts[1]
        default: return nil
        }
        return "\\\(letter){\(known)}"
    }

    private static let longNames = [
        "Letter": "L", "Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll", "Titlecase_Letter": "Lt",
        "Cased_Letter": "L&", "Modifier_Letter": "Lm", "Other_Letter": "Lo", "Mark": "M", "Nonspacing_Mark": "Mn",
        "Spacing_Mark": "Mc", "Enclosing_Mark": "Me", "Number": "N", "Decimal_Number": "Nd", "digit": "Nd",
        "Letter_Number": "Nl", "Other_Number": "No", "Punctuation": "P", "punct": "P", "Symbol": "S",
        "Math_Symbol": "Sm", "Currency_Symbol": "Sc", "Modifier_Symbol": "Sk", "Other_Symbol": "So",
        "Connector_Punctuation": "Pc", "Dash_Punctuation": "Pd", "Open_Punctuation": "Ps", "Close_Punctuation": "Pe",
        "Initial_Punctuation": "Pi", "Final_Punctuation": "Pf", "Other_Punctuation": "Po", "Surrogate": "Cs",
        "Separator": "Z", "Space_Separator": "Zs", "Line_Separator": "Zl", "Paragraph_Separator": "Zp",
        "Other": "C", "Control": "Cc", "cntrl": "Cc", "Format": "Cf", "Private_Use": "Co", "Unassigned": "Cn",
    ]
}

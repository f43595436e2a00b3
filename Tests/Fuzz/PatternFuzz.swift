import JSONSchema
import JSONText

/// An expression made of parts, and text made of others, have the verdict of the automaton also from PCRE2, which does
/// the work when an assertion stands before them.
@_cdecl("LLVMFuzzerTestOneInput")
public func patternFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeBufferPointer(start: start, count: min(count, 64))
    let middle = input.count / 2
    let source = input[..<middle].map { patternParts[Int($0) % patternParts.count] }.joined()
    let text = input[middle...].map { textParts[Int($0) % textParts.count] }.joined()
    guard let quick = try? JSONSchema(["pattern": .string(source)]),
        let slow = try? JSONSchema(["pattern": .string("(?=)(?:\(source))")]),
        let document = try? JSONTape(.string(text)), let verdict = try? slow.accepts(document)
    else { return 0 }
    precondition((try? quick.accepts(document)) == verdict, "\(source) in \(text)")
    return 0
}

private let patternParts = [
    "a", "b", "-", "[ab]", "[^a]", "[a-c-]", "[\\w-]", "(", "(?:", "(?<n>", ")", ")", "|", "*", "+", "?", "*?", "{2}",
    "{1,3}", "{0,2}?", "{2,}", "{,2}", "{", "}", "]", "[", "^", "$", ".", "\\d", "\\D", "\\s", "\\S", "\\w", "\\W",
    "[\\s\\S]", "[^\\s]", "[^]", "[]", "\\n", "\\x41", "\\u0061", "\\.", "é", "1", " ", "\\b", "\\1",
]

private let textParts = [
    "a", "b", "c", "-", "A", "1", " ", "\n", "\r", "\u{B}", ".", "{", "}", "]", "_", "é", "\u{A0}", "\u{1680}",
    "\u{2000}", "\u{200A}", "\u{200B}", "\u{2027}", "\u{2028}", "\u{2029}", "\u{202A}", "\u{202F}", "\u{205F}",
    "\u{3000}", "\u{FEFF}", "\u{FFFD}", "😀", "日", "\u{7FF}", "\u{0}", "\u{7F}", "\u{C3F}", "\u{1681}", "\u{2060}",
]

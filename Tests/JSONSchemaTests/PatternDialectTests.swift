import ByteKit
import JSONText
import Testing

@testable import JSONSchema

/// Regular expressions mean what they mean in ECMA-262 with its Unicode flag.
struct PatternDialectTests {
    private func isFound(_ pattern: String, _ text: String) throws -> Bool {
        let bytes = Array(text.utf8)
        let scratch = TextPattern.Scratch()
        let outcome = try TextPattern(pattern).search(bytes.rawBytes, scratch)
        // With an automaton and without one.
        #expect(try TextPattern(pcre: try PatternDialect.pcre(pattern)).search(bytes.rawBytes, scratch) == outcome)
        return outcome == .found
    }

    @Test(arguments: [
        ("^a$", "a"), ("^.$", "😀"), ("^[^]$", "\n"), ("^\\d+$", "09"), ("\\w", "a"), ("^\\S$", "é"), ("^[\\S]$", "é"),
        ("^\\s$", "\u{FEFF}"), ("^[\\s]$", "\u{2029}"), ("^\\s$", "\u{B}"), ("^\\cA$", "\u{1}"),
        ("^\\x41\\u0042$", "AB"),
        ("^\\u{1F600}$", "😀"), ("^\\uD83D\\uDE00$", "😀"), ("^\\p{Letter}$", "é"), ("^\\p{Lu}$", "É"),
        ("^\\p{Script=Greek}$", "λ"), ("^\\p{gc=Decimal_Number}$", "٣"), ("^\\P{L}$", "1"),
        ("^(?<year>\\d{4})-\\k<year>$", "2026-2026"), ("^(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\\10$", "abcdefghijj"),
        ("(?<=a)b", "ab"), ("(?<!a)b", "cb"), ("a(?!b)", "ac"), ("^\\/\\-$", "/-"), ("^{x}$", "{x}"),
        ("^a{,2}$", "a{,2}"),
        ("^]$", "]"), ("^[]?a$", "a"), ("^(?!b)[]*$", ""), ("^[\\w-.]+$", "a-."), ("^[\\s-]$", "-"),
        ("^[[:alpha:]$", ":"), ("^\\@\\_$", "@_"),
        ("^a{2}?$", "aa"),
        ("^[\\b]$", "\u{8}"), ("^(?:\\1)?(a)$", "a"), ("^a|b$", "b"), ("", ""), ("^$", ""), ("^\\0$", "\u{0}"),
    ])
    func isFound(in text: (String, String)) throws {
        #expect(try isFound(text.0, text.1))
    }

    @Test(arguments: [
        ("^a$", "a\n"), ("^.$", "\n"), ("^.$", "\r"), ("^.$", "\u{2028}"), ("^[]$", ""), ("\\d", "٣"), ("\\w", "é"),
        ("^\\S$", "\u{3000}"), ("^[\\S]$", "\u{3000}"), ("^[^\\S]$", "a"), ("\\s", "\u{200B}"), ("^a$", "A"),
        ("^b", "a\nb"),
        ("é\\b", "é "), ("^\\p{Script=Greek}$", "a"), ("^[\\w-.]$", ","),
    ])
    func isNotFound(in text: (String, String)) throws {
        #expect(try !isFound(text.0, text.1))
    }

    @Test(arguments: [
        "\\Z", "\\A", "\\z", "\\a", "\\e", "\\G", "\\Q", "\\E", "\\K", "\\R", "\\X", "\\h", "\\N", "\\g1", "\\o{1}",
        "\\C",
        "\\é", "\\", "\\01", "\\c1", "\\x+F", "\\x1", "\\u12", "\\u+123", "\\u{110000}", "\\u{+41}", "\\uD83D",
        "\\uDE00",
        "\\p", "\\p{^Lu}", "\\p{ Lu}", "\\p{Nonsense}", "\\pL", "\\p{x=y}", "[\\B]", "[\\k<a>]", "[\\1]", "(?i)a",
        "(?>a)",
        "(?|a)", "(?P<a>b)", "(?#a)", "(?R)", "(?1)", "(?'a'b)", "(*ACCEPT)", "(*LIMIT_MATCH=1)a", "(*UCP)\\w", "a++",
        "a*+",
        "a?+", "a{2}+", "a**", "*a", "+", "(", ")", "a)", "[a", "[b-a]", "a{2,1}", "\\1", "\\2(a)", "(?<a>b)(?<a>c)",
        "(?<1>a)",
    ])
    func whatOnlyOthersHaveIsRefused(_ pattern: String) {
        #expect(throws: PatternProblem.self) { try TextPattern(pattern) }
        #expect(!TextPattern.isPattern(pattern))
    }
}

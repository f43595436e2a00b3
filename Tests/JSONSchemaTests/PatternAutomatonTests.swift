import ByteKit
import Foundation
import JSONText
import Testing

@testable import JSONSchema

extension TextPattern {
    /// An expression that may have an automaton.
    convenience init(_ source: String) throws(PatternProblem) {
        var work = PatternAutomaton.workMax
        try self.init(source, work: &work)
    }
}

/// The automaton finds exactly what PCRE2 finds.
struct PatternAutomatonTests {
    private static let parts = [
        "a", "b", "-", "[ab]", "[^a]", "[a-c]", "\\w", "\\d", "\\s", "\\S", ".", "[\\s\\S]", "[^\\s]", "(?:a|b)", "(a)",
        "(?:ab)?", "(?:a|bc)*", "(?<n>b+)", "a*", "b+?", "a?", "[ab]{2}", "a{1,2}", "b{2,}", "|", "^", "$", "é",
    ]
    private static let texts = [
        "", "a", "b", "ab", "ba", "aab", "abab", "bb", "aaa", "a-b", "-", "a b", "1", "a1", "_", "é", "aé", "éb", "\n",
        "a\nb", "\r", "\u{2028}", "a\u{2029}", "\u{A0}", "\u{3000}", "\u{FEFF}", "\u{200B}", "😀", "c", "abc", "bca",
    ]

    /// The automaton's verdict and that of PCRE2 on a text.
    private func differ(_ quick: TextPattern, _ slow: TextPattern, _ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let scratch = TextPattern.Scratch()
        let expected = slow.search(bytes.rawBytes, scratch)
        return expected != .gaveUp && quick.search(bytes.rawBytes, scratch) != expected
    }

    @Test(arguments: parts)
    func expressionsOfPartsAreFoundAsPCRE2FindsThem(_ first: String) throws {
        var count = 0
        for second in Self.parts {
            for third in ["", "a", "$", "b*", "|a", "[^b]$"] {
                let source = first + second + third
                guard let quick = try? TextPattern(source) else { continue }
                let slow = try TextPattern(pcre: try PatternDialect.pcre(source))
                for text in Self.texts where differ(quick, slow, text) {
                    Issue.record("\(source) in \(text.debugDescription)")
                }
                if quick.automaton != nil { count += 1 }
            }
        }
        #expect(count > 20 || first == "é")
    }

    @Test(arguments: [
        "^[a-z0-9]{1,20}$", "^[\\s\\S]+-[0-9A-F]{16}(-[0-9A-F]{8})?$", "^/millrace/[^/]+$", "-[0-9A-F]{8}$",
        "^[\\w.+-]+@[\\w-]+\\.[\\w.-]+$", "^(?:\\+|00)[1-9][0-9]{6,14}$", "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$",
        "^(?<year>\\d{4})-\\d\\d-\\d\\d$", "(a+)+$", "^(?:a|a)*b?$", "^.{0,200}$", "",
    ])
    func everydayExpressionsHaveAnAutomaton(_ source: String) throws {
        #expect(try TextPattern(source).automaton != nil)
    }

    @Test(arguments: [
        "(?=a)b", "(?!a)b", "(?<=a)b", "(a)\\1", "\\ba", "é", "\\p{Lu}", "[à-ü]", "(?:[^a]{90}){900}", "[\\w-.]",
        "(?:a|b)*a(?:a|b){20}$",
    ])
    func otherExpressionsAreLeftToPCRE2(_ source: String) throws {
        #expect(try TextPattern(source).automaton == nil)
    }

    @Test func expressionsThatPCRE2RepeatsWithoutEndHaveAVerdict() throws {
        let long = String(repeating: "a", count: 100_000)
        for (source, text, isFound) in [("(a+)+$", long + "b", false), ("^(?:a|a)*b?$", long + "b", true)] {
            let schema = try JSONSchema(["pattern": .string(source)])
            #expect(try schema.accepts(JSONTape(.string(text))) == isFound)
        }
    }

    @Test func automataCostNoMoreThanTheyMay() throws {
        var work = 1_000
        #expect(PatternAutomaton("^[a-z]{200}$", work: &work) == nil && work <= 0)
        #expect(PatternAutomaton("a", work: &work) == nil)
        // Expressions beyond what all may cost are searched all the same.
        let members = (0..<2_000).map { #""p\#($0)":{"pattern":"^(?:[a-z]\#($0)|[^b]{60})*x$"}"# }
        let schema = try JSONSchema(compiling: Array(#"{"properties":{\#(members.joined(separator: ","))}}"#.utf8))
        #expect(try schema.accepts(JSONTape(["p0": "a0x", "p1999": "a1999x"])))
        #expect(try !schema.accepts(JSONTape(["p1999": "a0x"])))
    }
}

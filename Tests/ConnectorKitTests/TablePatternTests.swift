import ConnectorKit
import Testing

@Suite struct TablePatternTests {
    @Test(arguments: [
        ("orders", "orders"), ("*", ""), ("*", "anything"), ("public.*", "public."), ("public.*", "public.orders"),
        ("*.orders", "public.orders"), ("p*c.o*s", "public.orders"), ("**", "x"), ("a*b*c", "aXbXbc"), ("a*a", "aa"),
        ("größe*", "größen"), ("", ""), ("a*", "a*"), ("*aab", "aaaab"), ("*ab*ab*", "abab"),
    ])
    func matches(pattern: String, name: String) { #expect(TablePattern(pattern).matches(name)) }

    @Test(arguments: [
        ("orders", "Orders"), ("orders", "orders2"), ("orders", "order"), ("public.*", "public"), ("a*a", "a"),
        ("", "x"),
        ("*.orders", "orders"), ("a*b*c", "acb"), ("*ab*ab*", "aba"), ("?rders", "orders"), ("order.", "orders"),
        ("[a]", "a"),
    ])
    func doesNotMatch(pattern: String, name: String) { #expect(!TablePattern(pattern).matches(name)) }

    /// Tries every way to split the name: slow, plain, right.
    private func reference(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        guard let first = pattern.first else { return name.isEmpty }
        if first == UInt8(ascii: "*") {
            return (0...name.count).contains { reference(pattern.dropFirst(), name.dropFirst($0)) }
        }
        return name.first == first && reference(pattern.dropFirst(), name.dropFirst())
    }

    @Test func everyShortPatternIsAsTheReference() {
        func words(_ letters: String, _ length: Int) -> [String] {
            (0..<length).reduce([""]) { words, _ in words + words.flatMap { word in letters.map { word + String($0) } }
            }
        }
        let patterns = Set(words("ab*", 4))
        let names = Set(words("ab", 5))
        for pattern in patterns {
            for name in names {
                let expected = reference(Array(pattern.utf8)[...], Array(name.utf8)[...])
                if TablePattern(pattern).matches(name) != expected { Issue.record("\(pattern) and \(name)") }
            }
        }
        #expect(patterns.count > 100 && names.count > 50)
    }

    /// A backtracking matcher would need longer than the universe has.
    @Test func manyWildcardsOverALongNameTakeNoTime() {
        let pattern = TablePattern(String(repeating: "a*", count: 500) + "b")
        let name = String(repeating: "a", count: 5000)
        let start = ContinuousClock.now
        #expect(!pattern.matches(name))
        #expect(pattern.matches(name + "b"))
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func literalsHaveNoWildcard() {
        #expect(TablePattern("public.orders").isLiteral)
        #expect(!TablePattern("public.*").isLiteral)
        #expect(TablePattern("\"a*b\"").literalName == "a*b")
        #expect(TablePattern("a*b").literalName == nil)
        #expect(!TablePattern("\"open").isWellFormed && TablePattern("\"open\"").isWellFormed)
    }

    @Test(arguments: [
        ("public.*", "public", "orders"), ("orders", "sales", "orders"), ("*", "any", "thing"),
        ("\"my.schema\".*", "my.schema", "t"), ("my.*", "my", "odd.name"), ("public.\"a*\"", "public", "a*"),
        ("public.\"say \"\"hi\"\"\"", "public", "say \"hi\""), ("\"Public\".\"T\"", "Public", "T"), ("*.*", "a.b", "c"),
        ("p\"u\"blic.or*", "public", "orders"),
    ])
    func aTableFits(pattern: String, schema: String, table: String) {
        #expect(TablePattern(pattern).matches(schema: schema, table: table))
    }

    @Test(arguments: [
        ("my.*", "my.schema", "t"), ("public.\"a*\"", "public", "ab"), ("public.orders", "sales", "orders"),
        ("pub*", "public", "orders"), ("\"public.orders\"", "public", "orders"), ("public.T", "public", "t"),
        ("*.orders", "public", "a.orders"),
    ])
    func aTableDoesNotFit(pattern: String, schema: String, table: String) {
        #expect(!TablePattern(pattern).matches(schema: schema, table: table))
    }

    @Test(arguments: [
        ("*", "public.orders", true), ("public.*", "orders", true), ("public.*", "sales.*", false),
        ("orders", "orders", true), ("orders", "order", false), ("a*c", "ab*", true), ("a*c", "*b", false),
        ("a*b*c", "axc", false), ("a*b*c", "axbxc", true), ("*", "*", true), ("", "*", true), ("", "a", false),
        ("\"a*\"", "ab", false), ("\"a*\"", "a*", true), ("*x", "x*", true), ("ab", "a*b", true),
        ("pub*.t", "*lic.t", true), ("p.*a", "p.b*", true), ("p.a", "q.*", false), ("*a*", "*b*", true),
    ])
    func patternsOverlapWhenATableCanFitBoth(_ first: String, _ second: String, _ expected: Bool) {
        #expect(TablePattern(first).overlaps(TablePattern(second)) == expected)
        #expect(TablePattern(second).overlaps(TablePattern(first)) == expected)
    }
}

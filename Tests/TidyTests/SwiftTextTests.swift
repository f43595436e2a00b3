import Testing

struct SwiftTextTests {
    private func code(_ text: String) -> String { String(decoding: SwiftText(text).code, as: UTF8.self) }
    private func comments(_ text: String) -> String { String(decoding: SwiftText(text).comments, as: UTF8.self) }

    @Test func commentsAreNoCode() {
        #expect(code("a // b\nc /* d /* e */ f */ g") == "a     \nc                   g")
        #expect(comments("a // b\nc /* d /* e */ f */ g") == "  // b\n  /* d /* e */ f */  ")
    }

    @Test func stringsAreNoCodeAndInterpolationsAre() {
        #expect(code(#"f("a{\"b", c)"#) == #"f("     ", c)"#)
        #expect(code(#"x = "a\(b { "}" })c" + d"#) == #"x = "   b { " " }) " + d"#)
        #expect(code("let a = \"\"\"\n  { \"x\" \\(y)\n  \"\"\"\n}") == "let a = \"\"\"\n          y)\n  \"\"\"\n}")
        #expect(code(##"r = #"a"{\(b)\#(c)"# + d"##) == ##"r = #"          c)"# + d"##)
    }

    @Test func brokenStringsEndWithTheirLine() {
        #expect(code("a = \"b\nc {") == "a = \" \nc {")
        for text in ["\"", "\"\\", "#\"", "\"\"\"", "/*", "\"\\(", "//"] {
            #expect(code(text).utf8.count == text.utf8.count)
        }
    }

    @Test func literalsKnowTheirTextAndLineAndWhatIsBefore() {
        let literals = SwiftText("a(\n    \"x.y\", b: \"c\\(\"in\")\")").literals
        #expect(literals.map(\.text) == ["x.y", "in", "c\\(\"in\")"])
        #expect(literals.map(\.line) == [2, 2, 2])
        #expect(literals.first?.before == "a(")
    }

    @Test func wordsHaveBorders() {
        let bytes = Array("retry! try! try !xtry! nprint( print(".utf8)
        #expect(SwiftText.occurrences(of: "try!", in: bytes) == [7])
        #expect(SwiftText.occurrences(of: "print(", in: bytes) == [31])
        #expect(SwiftText.occurrences(of: "longer than all of it", in: Array("x".utf8)) == [])
    }

    @Test func everyKindOfBodyIsMeasured() {
        let text = """
            struct A {
                var stored: Int
                var computed: Int { 1 }
                var observed = 1
                init(a: () -> Void = { }) {
                    self.init(b: 1)
                }
                func multi(
                    line: Int
                ) async throws(E) -> [String: Int]
                where T: P {
                    func nested() { "}" }
                    let x = A { var y: Int { 2 }; return y }
                }
                subscript(a: Int) -> Int {
                    get { 1 }
                }
                deinit {
                }
            }
            protocol P {
                init(x: Int)
                func none() -> Int
                var get: Int { get }
                func alsoNone()
            }
            func last() {
            """
        let extents = FunctionScanner(SwiftText(text)).extents
        #expect(
            extents == [
                FunctionExtent(name: "computed", line: 3, lineCount: 1),
                FunctionExtent(name: "init", line: 5, lineCount: 3),
                FunctionExtent(name: "multi", line: 8, lineCount: 7),
                FunctionExtent(name: "nested", line: 12, lineCount: 1),
                FunctionExtent(name: "y", line: 13, lineCount: 1),
                FunctionExtent(name: "subscript", line: 15, lineCount: 3),
                FunctionExtent(name: "deinit", line: 18, lineCount: 2),
                FunctionExtent(name: "get", line: 24, lineCount: 1),
                FunctionExtent(name: "last", line: 27, lineCount: 1),
            ])
    }
}

import Testing

@testable import JSONSchema

struct URIReferenceTests {
    /// RFC 3986, section 5.4.
    @Test(arguments: [
        ("g:h", "g:h"), ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"), ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"), ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"), (";x", "http://a/b/c/;x"), ("", "http://a/b/c/d;p?q"), (".", "http://a/b/c/"),
        ("..", "http://a/b/"), ("../g", "http://a/b/g"), ("../..", "http://a/"), ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"), ("g.", "http://a/b/c/g."), ("..g", "http://a/b/c/..g"), ("./g/.", "http://a/b/c/g/"),
        ("g;x=1/../y", "http://a/b/c/y"), ("g?y/./x", "http://a/b/c/g?y/./x"), ("g#s/../x", "http://a/b/c/g#s/../x"),
    ])
    func referenceIsResolvedAgainstItsBase(_ reference: String, _ expected: String) {
        let base = URIReference("http://a/b/c/d;p?q")
        #expect(URIReference(reference).resolved(against: base).text == expected)
    }

    @Test func delimiterWithACombiningMarkBehindItIsADelimiter() {
        let uri = URIReference("http://a/\u{301}b#\u{301}c")
        #expect(uri.authority == "a" && uri.fragment == "\u{301}c")
        #expect(JSONPointer("/\u{301}a/b")?.steps == ["\u{301}a", "b"])
    }

    @Test func percentEncodedBytesAreDecoded() {
        #expect(URIReference.decoded("a%2Fb%c3%A9%zz%+1%2") == "a/bé%zz%+1%2")
        #expect(URIReference.decoded("%ff") == nil)
    }

    @Test(arguments: [
        ("", []), ("/", [""]), ("/a~1b/c~0d/~2", ["a/b", "c~d", "~2"]), ("/0/%", ["0", "%"]),
    ])
    func pointerIsReadStepByStep(_ text: String, _ steps: [String]) throws {
        let pointer = try #require(JSONPointer(text))
        #expect(pointer.steps == steps)
        #expect(JSONPointer("a/b") == nil)
    }
}

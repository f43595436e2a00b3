import JSONText
import Testing

@Suite struct JSONPlaceTests {
    private let text = Array(
        """
        {
          "a": {"b": [1, {"c": "}]"}, [2]]},
          "ä": 1, "x/y~z": "\\"",
          "q\\u0061": [],
          "a": {"b": true}
        }
        """.utf8)

    private func place(_ pointer: String) -> String {
        let place = JSONPlace(of: pointer, in: text)
        return "\(place.line):\(place.column)"
    }

    @Test func pointerLeadsToTheStartOfItsValue() {
        #expect(place("") == "1:1")
        #expect(place("/ä") == "3:8")
        #expect(place("/x~1y~0z") == "3:20")
        #expect(place("/qa") == "4:14")
    }

    @Test func lastOfEqualNamesCounts() {
        #expect(place("/a") == "5:8" && place("/a/b") == "5:14")
    }

    @Test func pointerThatLeadsNowhereStaysAtTheInnermostValue() {
        #expect(place("/a/zz/y") == "5:8")
        #expect(place("/nothing") == "1:1")
        #expect(place("/ä/0") == "3:8")
    }

    @Test func elementsAreCounted() {
        let list = Array("[[1, [2, 3]],\n {\"a\": [\"x,]\", 5]}]".utf8)
        #expect(JSONPlace(of: "/0/1/1", in: list).column == 10)
        #expect(JSONPlace(of: "/1/a/1", in: list) == JSONPlace(of: "/1/a/1", in: list))
        #expect(JSONPlace(of: "/1/a/1", in: list).line == 2 && JSONPlace(of: "/1/a/1", in: list).column == 16)
        #expect(JSONPlace(of: "/2", in: list).line == 1)
    }

    @Test(arguments: ["", "{", "[", "{\"a\"", "{\"a\":", "\"", "{\"a\": [", "[}", "{]", "nul", "{\"a\": \"\\"])
    func textThatIsNoDocumentDoesNotHurt(_ text: String) {
        for pointer in ["", "/a", "/0", "/a/0/b"] { #expect(JSONPlace(of: pointer, in: Array(text.utf8)).line == 1) }
    }
}

@Suite struct CanonicalFormTests {
    private let documents = [
        "1", "1.0", "10e-1", "100", "1e2", "0", "-0", "0.0", "1e99999999999999999999999", "-1", "\"1\"", "true", "null",
        "[]", "{}", "[1, 2]", "[2, 1]", "[1.0, 2]", "{\"a\": 1, \"b\": 2}", "{\"b\": 2.0, \"a\": 1}",
        "{\"a\": 1, \"a\": 2}", "{\"a\": 2, \"a\": 1}", "\"\\u00e9\"", "\"é\"", "\"e\\u0301\"", "{\"é\": 1}",
        "{\"e\\u0301\": 1}", "[[1], 2]", "[[1, 2]]", "\"a\\nb\"",
    ]

    @Test func bytesAreEqualExactlyForWhatIsEquivalent() throws {
        for a in documents {
            for b in documents {
                let (one, other) = (try JSONValue(parsing: a), try JSONValue(parsing: b))
                #expect((one.canonicalBytes == other.canonicalBytes) == one.isEquivalent(to: other), "\(a) and \(b)")
            }
        }
    }

    @Test func canonicalBytesAreJSONOfTheSame() throws {
        for text in documents {
            let value = try JSONValue(parsing: text)
            #expect(try JSONValue(parsing: value.canonicalBytes).isEquivalent(to: value), "\(text)")
        }
    }
}

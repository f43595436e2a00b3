import ByteKit
import Testing

@testable import JSONSchema

/// What the public suite does not ask of formats; it has the bulk.
struct FormatCheckTests {
    @Test(arguments: [
        ("", "", true), ("ü", "tda", true), ("bücher", "bcher-kva", true),
        ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye", true),
        ("なぜみんな日本語を話してくれないのか", "n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa", true),
        ("ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn", true), ("3年b組金八先生", "3b-ww4c5e180e575a65lsy2b", true),
    ])
    func punycodeIsThatOfTheStandard(_ text: String, _ code: String, _ isCode: Bool) {
        let scalars = Array(text.unicodeScalars)
        #expect(Punycode.encode(scalars) == Array(code.utf8))
        #expect(Punycode.decode(Array(code.unicodeScalars)[...]) == scalars)
    }

    @Test func punycodeThatOverflowsIsNone() {
        for letter in "az09".unicodeScalars {
            for count in 1...63 { _ = Punycode.decode([Unicode.Scalar](repeating: letter, count: count)[...]) }
        }
        #expect(Punycode.decode(Array("99999999".unicodeScalars)[...]) == nil)
    }

    @Test func noFormatTrapsOnAnyText() {
        let pieces = [
            "", "x", "-", ".", ":", "@", "[", "]", "%", "{", "}", "~", "#", "P", "T", "1", "é", "\u{0}", "xn--",
            "+00:00", "\"",
        ]
        for check in FormatCheck.allCases {
            for first in pieces {
                for second in pieces {
                    for third in pieces {
                        _ = check.accepts(Array((first + second + third).utf8).rawBytes)
                        _ = check.accepts(Array("2026-01-01T00:00:0\(first)\(second)\(third)".utf8).rawBytes)
                    }
                }
            }
        }
    }
}

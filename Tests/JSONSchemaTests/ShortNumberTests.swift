import ByteKit
import Testing

@testable import JSONSchema

struct ShortNumberTests {
    private static let texts = [
        "0", "-0", "1", "-1", "10", "1.0", "1.10", "-1.1", "0.1", "0.000000000000001", "999999999999999999",
        "-99999999999999999", "99999999.99", "1e3", "1E-3", "1234567890123456789", "0.30", "1e-18", "1e18", "-0.5",
    ]

    private func short(_ text: String) -> ShortNumber? { ShortNumber(Array(text.utf8).rawBytes) }

    @Test(arguments: texts)
    func shortNumbersCompareAsExactOnesDo(_ text: String) {
        let exact = ExactNumber(Array(text.utf8))
        for (number, other) in [(short(text), text), (ShortNumber(exact), text)] {
            guard let number else { continue }
            for right in Self.texts {
                let exactRight = ExactNumber(Array(right.utf8))
                for bound in [short(right), ShortNumber(exactRight)] {
                    guard let bound, let (mine, theirs) = ShortNumber.scaled(number, bound) else { continue }
                    #expect((mine < theirs) == (exact < exactRight), "\(other) \(right)")
                    #expect((mine == theirs) == (exact == exactRight), "\(other) \(right)")
                    if theirs > 0 {
                        #expect((mine % theirs == 0) == exact.isMultiple(of: exactRight), "\(other) \(right)")
                    }
                }
            }
        }
    }

    @Test func exponentsAndMoreThan18CharactersAreNotShort() {
        #expect(short("1e3") == nil && short("1234567890123456789") == nil && short("123456789012345678") != nil)
        #expect(
            short("12.50") == ShortNumber(digits: 1250, scale: 2) && short("-7") == ShortNumber(digits: -7, scale: 0))
    }

    @Test func numbersThatCannotBeBroughtToOneScaleAreNotCompared() {
        let large = ShortNumber(digits: 999_999_999_999_999_999, scale: 0)
        #expect(ShortNumber.scaled(large, ShortNumber(digits: 1, scale: 17)) == nil)
        #expect(ShortNumber.scaled(ShortNumber(digits: 1, scale: 17), large) == nil)
    }
}

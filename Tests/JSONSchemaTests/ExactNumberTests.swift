import Testing

@testable import JSONSchema

struct ExactNumberTests {
    private func number(_ text: String) -> ExactNumber { ExactNumber(Array(text.utf8)) }

    @Test func orderIsThatOfTheValues() {
        let ordered = [
            "-1e400", "-12", "-11.5", "-1", "-0.1", "-1e-400", "0", "1e-400", "0.09", "0.1", "1",
            "1.0000000000000000001", "9.99",
            "10", "1e2", "101", "9007199254740992", "9007199254740993", "1e400",
        ]
        for (place, text) in ordered.enumerated() {
            for (other, otherText) in ordered.enumerated() {
                #expect((number(text) < number(otherText)) == (place < other), "\(text) < \(otherText)")
            }
        }
    }

    @Test(arguments: [
        ("0", "3", true), ("9", "3", true), ("10", "3", false), ("0.3", "0.1", true), ("0.35", "0.1", false),
        ("1e3", "8", true),
        ("1e2", "8", false), ("19.99", "0.01", true), ("1e308", "0.123456789", false), ("4.5", "1.5", true),
        ("-9", "3", true), ("123456789123456789123456789", "3", true), ("123456789123456789123456788", "3", false),
        ("1e1000000", "7", false), ("7e1000000", "7", true), ("1e-10", "1e-20", true), ("1e-20", "1e-10", false),
        ("999999999999999999", "999999999999999999", true), ("1", "2e18", false), ("4e18", "2e18", true),
    ])
    func multiplesAreFoundWithoutRounding(_ text: String, _ divisor: String, _ isMultiple: Bool) {
        #expect(number(text).isMultiple(of: number(divisor)) == isMultiple)
    }

    @Test(arguments: [
        ("0", 0), ("-0", 0), ("3", 3), ("2.0", 2), ("1e3", 1000), ("2147483647", Int32.max), ("2147483648", .max),
        ("9999999999", .max), ("1e99999999999999999999", .max),
    ])
    func countsAreCut(_ text: String, _ count: Int32) { #expect(number(text).clampedInt32 == count) }
}

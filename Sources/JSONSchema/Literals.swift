internal import JSONText

/// The values of `enum` or `const`, by type, so that one look finds most of them.
final class Literals: Sendable {
    let hasNull: Bool
    let hasTrue: Bool
    let hasFalse: Bool
    /// The characters of the strings.
    let texts: NameTable
    let containers: [JSONTape]
    /// The values as a message lists them.
    let summary: String
    private let numbers: Set<ExactNumber>
    /// Those of the numbers that are whole and short.
    private let wholeNumbers: Set<Int>

    init(_ values: [JSONValue], summary: String) throws(JSONError) {
        self.summary = summary
        (hasNull, hasTrue, hasFalse) = (values.contains(.null), values.contains(true), values.contains(false))
        texts = NameTable(Array(Set(values.compactMap { $0.string.map { Array($0.utf8) } })))
        numbers = Set(values.compactMap { $0.number.map { ExactNumber(Array($0.text.utf8)) } })
        wholeNumbers = Set(numbers.compactMap { ShortNumber($0).flatMap { $0.scale == 0 ? $0.digits : nil } })
        var containers: [JSONTape] = []
        for value in values where value.array != nil || value.object != nil {
            containers.append(try JSONTape(literal: value))
        }
        self.containers = containers
    }

    /// True when one of the numbers has the value of a number node.
    func contains(number element: JSONTape.Node, of tape: JSONTape) -> Bool {
        // A number that is written as a short integer is equal to no other kind of number.
        if element.flag, let short = tape.shortNumber(element) { return wholeNumbers.contains(short.digits) }
        return !numbers.isEmpty && numbers.contains(tape.number(element))
    }
}

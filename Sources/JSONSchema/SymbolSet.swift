/// A set of characters as regular expressions without names of letters tell them apart: each ASCII character by itself,
/// and all others in three groups.
struct SymbolSet: Hashable, Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0
    private var rest: UInt8 = 0

    /// How many symbols there are.
    static let symbolCount = 131
    /// Line separators beyond ASCII: U+2028 and U+2029.
    static let lineSeparator = 128
    /// White space of ECMA-262 beyond ASCII that ends no line.
    static let otherSpace = 129
    /// Every other character beyond ASCII.
    static let other = 130

    static let none = SymbolSet()
    static let all = SymbolSet.none.inverted
    static let digits = SymbolSet(48...57)
    static let word = SymbolSet(48...57).union(SymbolSet(65...90)).union(SymbolSet(97...122)).union(SymbolSet(95...95))
    static let space = SymbolSet(9...13).union(SymbolSet(32...32)).union(SymbolSet(lineSeparator...otherSpace))
    static let lineEnds = SymbolSet(10...10).union(SymbolSet(13...13)).union(SymbolSet(lineSeparator...lineSeparator))

    private init() {}

    /// The symbols of a range.
    init(_ range: ClosedRange<Int>) { for symbol in range { insert(symbol) } }

    func contains(_ symbol: Int) -> Bool {
        switch symbol {
        case ..<64: low & (1 << UInt64(symbol)) != 0
        case ..<128: high & (1 << UInt64(symbol - 64)) != 0
        default: rest & (1 << UInt8(symbol - 128)) != 0
        }
    }

    private mutating func insert(_ symbol: Int) {
        switch symbol {
        case ..<64: low |= 1 << UInt64(symbol)
        case ..<128: high |= 1 << UInt64(symbol - 64)
        default: rest |= 1 << UInt8(symbol - 128)
        }
    }

    func union(_ other: SymbolSet) -> SymbolSet {
        var result = self
        result.low |= other.low
        result.high |= other.high
        result.rest |= other.rest
        return result
    }

    /// All other symbols.
    var inverted: SymbolSet {
        var result = self
        (result.low, result.high, result.rest) = (~low, ~high, ~rest & 7)
        return result
    }
}

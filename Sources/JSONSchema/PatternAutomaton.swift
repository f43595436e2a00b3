internal import ByteKit

/// Says whether an expression is found in text, in one step for each byte and without ever going back.
///
/// It takes most expressions that schemas have; the others are searched by PCRE2.
final class PatternAutomaton: Sendable {
    /// For each state and class of symbols: where the row of the next state begins, or what is the outcome.
    private let next: [UInt32]
    /// For each byte its class: the bytes behind the first of a character stay in their state.
    private let classOfByte: [UInt8]
    /// The classes of the three groups of symbols beyond ASCII, when they differ.
    private let classesBeyondASCII: [UInt8]
    /// For each state: whether the expression is found when the text ends here.
    private let acceptsAtEnd: [Bool]
    private let classCount: Int
    /// The row of the beginning.
    private let first: UInt32

    /// Found already, whatever comes.
    static let found: UInt32 = .max
    /// Never found, whatever comes.
    static let dead: UInt32 = .max - 1

    /// How much memory it takes.
    var byteCount: Int { next.count * 4 + classOfByte.count + acceptsAtEnd.count }

    /// What an automaton of an expression may cost, unless somebody says something else.
    static let workMax = 200_000

    /// An automaton for an expression; nil when it has what an automaton cannot do, or becomes too large. Takes from
    /// `work` what it costs to make it, and is not made for more.
    init?(_ source: String, work: inout Int) {
        guard work > 0, let tree = PatternTreeReader.tree(source),
            var builder = AutomatonBuilder(tree, work: min(work, Self.workMax))
        else { return nil }
        let isBuilt = builder.build()
        work -= builder.workDone
        guard isBuilt else { return nil }
        let classCount = builder.classCount
        func row(_ state: UInt32) -> UInt32 { state >= Self.dead ? state : state * UInt32(classCount) }
        (next, first, acceptsAtEnd) = (builder.next.map(row), row(builder.first), builder.acceptsAtEnd)
        self.classCount = classCount
        let symbols = builder.classOfSymbol
        var classes = [UInt8](repeating: 0, count: 256)
        for byte in 0..<128 { classes[byte] = symbols[byte] }
        for byte in 128..<192 { classes[byte] = UInt8(builder.classCount - 1) }
        for byte in 192..<256 { classes[byte] = symbols[SymbolSet.other] }
        classOfByte = classes
        let beyond = [SymbolSet.lineSeparator, SymbolSet.otherSpace, SymbolSet.other].map { symbols[$0] }
        classesBeyondASCII = Set(beyond).count == 1 ? [] : beyond
    }

    /// True when the expression is found in valid UTF-8.
    func isFound(in text: RawSpan) -> Bool {
        let isUniform = classesBeyondASCII.isEmpty
        var (row, place) = (first, 0)
        while place < text.byteCount {
            if row >= Self.dead { return row == Self.found }
            let byte = unsafe text.unsafeLoad(fromUncheckedByteOffset: place, as: UInt8.self)
            var symbols = classOfByte[Int(byte)]
            if !isUniform && byte >= 0xC2 { symbols = classesBeyondASCII[Self.group(text, place)] }
            row = next[Int(row) &+ Int(symbols)]
            place &+= 1
        }
        return row >= Self.dead ? row == Self.found : acceptsAtEnd[Int(row) / classCount]
    }

    /// The group of a character beyond ASCII: 0 for line separators, 1 for other white space, 2 for everything else.
    private static func group(_ text: RawSpan, _ place: Int) -> Int {
        let second = text.byte(place + 1)
        let third = text.byte(place + 2)
        switch text.byte(place) {
        case 0xC2: return second == 0xA0 ? 1 : 2
        case 0xE1: return second == 0x9A && third == 0x80 ? 1 : 2
        case 0xE2:
            if second == 0x81 { return third == 0x9F ? 1 : 2 }
            guard second == 0x80 else { return 2 }
            if third == 0xA8 || third == 0xA9 { return 0 }
            return third <= 0x8A || third == 0xAF ? 1 : 2
        case 0xE3: return second == 0x80 && third == 0x80 ? 1 : 2
        case 0xEF: return second == 0xBB && third == 0xBF ? 1 : 2
        default: return 2
        }
    }
}

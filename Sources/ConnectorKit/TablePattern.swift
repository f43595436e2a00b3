/// Names of tables with `*` for any run of characters, as in `public.*` or `orders`.
///
/// Capitals matter. The first dot parts schema and table. Double quotes take every meaning from what is inside of them,
/// so `"my.schema"."a*b"` names one table with a star in a schema with a dot; a quote inside of quotes is doubled.
public struct TablePattern: Sendable, Hashable {
    /// The pattern as the configuration has it.
    public let text: String
    /// False when a double quote is not closed.
    public let isWellFormed: Bool

    /// All of it, with dots as plain bytes.
    private let whole: [Element]
    /// What stands before the first dot outside of quotes; nil without such a dot.
    private let schema: ArraySlice<Element>?
    private let table: ArraySlice<Element>

    /// A byte, or ``wildcard``.
    private typealias Element = UInt16
    private static let wildcard: Element = 0x100

    /// A pattern.
    public init(_ text: String) {
        self.text = text
        var (elements, parting) = ([Element](), Int?.none)
        var isQuoted = false
        var bytes = text.utf8.makeIterator()
        var next = bytes.next()
        while let byte = next {
            next = bytes.next()
            switch byte {
            case UInt8(ascii: "\"") where isQuoted && next == byte:
                elements.append(Element(byte))
                next = bytes.next()
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: "*") where !isQuoted: elements.append(Self.wildcard)
            case UInt8(ascii: ".") where !isQuoted:
                parting = parting ?? elements.count
                elements.append(Element(byte))
            default: elements.append(Element(byte))
            }
        }
        isWellFormed = !isQuoted
        whole = elements
        schema = parting.map { elements[..<$0] }
        table = parting.map { elements[($0 + 1)...] } ?? elements[...]
    }

    /// True when the pattern holds no wildcard and so names one table.
    public var isLiteral: Bool { !whole.contains(Self.wildcard) }
    /// True when the pattern names a schema too.
    public var hasSchema: Bool { schema != nil }
    /// The name that a pattern without a wildcard stands for, as a whole and without its quotes; nil with a wildcard.
    public var literalName: String? {
        isLiteral ? String(decoding: whole.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self) : nil
    }

    /// True when the whole of `name` fits the whole of the pattern; a dot is a character like any other.
    public func matches(_ name: String) -> Bool { Self.matches(whole[...], Array(name.utf8)) }

    /// True when the table fits. A pattern without a schema is for tables of that name in every schema.
    public func matches(schema name: String, table tableName: String) -> Bool {
        if let schema, !Self.matches(schema, Array(name.utf8)) { return false }
        return Self.matches(table, Array(tableName.utf8))
    }

    /// True when a table can fit both.
    public func overlaps(_ other: TablePattern) -> Bool {
        if let schema, let theirs = other.schema, !Self.overlap(schema, theirs) { return false }
        return Self.overlap(table, other.table)
    }

    /// Whether a name fits both: which places of the second pattern can be reached with each place of the first.
    private static func overlap(_ first: ArraySlice<Element>, _ second: ArraySlice<Element>) -> Bool {
        let second = Array(second)
        func passingWildcards(_ reached: [Bool]) -> [Bool] {
            var reached = reached
            for place in second.indices where reached[place] && second[place] == wildcard { reached[place + 1] = true }
            return reached
        }
        var reached = [Bool](repeating: false, count: second.count + 1)
        reached[0] = true
        reached = passingWildcards(reached)
        for element in first {
            var next = [Bool](repeating: false, count: second.count + 1)
            if element == wildcard {
                // Any run: from each place that is reached all later ones are.
                guard let start = reached.firstIndex(of: true) else { return false }
                for place in start...second.count { next[place] = true }
            } else {
                for place in second.indices where reached[place] {
                    if second[place] == wildcard { next[place] = true }
                    if second[place] == element { next[place + 1] = true }
                }
            }
            reached = passingWildcards(next)
        }
        return reached[second.count]
    }

    /// Greedy match with one step back to the last wildcard: linear for usual patterns, never exponential.
    private static func matches(_ pattern: ArraySlice<Element>, _ name: [UInt8]) -> Bool {
        var (p, n) = (pattern.startIndex, name.startIndex)
        var star: (pattern: Int, name: Int)?
        while n < name.endIndex {
            if p < pattern.endIndex, pattern[p] == wildcard {
                star = (p, n)
                p += 1
            } else if p < pattern.endIndex, pattern[p] == Element(name[n]) {
                p += 1
                n += 1
            } else if let last = star {
                p = last.pattern + 1
                n = last.name + 1
                star = (last.pattern, n)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == wildcard }
    }
}

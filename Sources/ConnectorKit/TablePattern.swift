/// Names of tables with `*` for any run of characters, as in `public.*` or `orders`.
public struct TablePattern: Sendable, Hashable {
    /// The pattern as the configuration has it.
    public let text: String

    /// A pattern.
    public init(_ text: String) { self.text = text }

    /// True when the pattern holds no wildcard and so names one table.
    public var isLiteral: Bool { !text.contains("*") }

    /// True when the whole of `name` fits. Capitals matter.
    public func matches(_ name: String) -> Bool { Self.matches(Array(text.utf8)[...], Array(name.utf8)[...]) }

    /// Greedy match with one step back to the last wildcard: linear for usual patterns, never exponential.
    private static func matches(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        var (p, n) = (pattern.startIndex, name.startIndex)
        var star: (pattern: Int, name: Int)?
        while n < name.endIndex {
            if p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") {
                star = (p, n)
                p += 1
            } else if p < pattern.endIndex, pattern[p] == name[n] {
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
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}

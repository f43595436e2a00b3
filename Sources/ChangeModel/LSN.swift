/// A position in PostgreSQL's write-ahead log: a byte number, written as two hexadecimal halves (`0/16B3748`).
///
/// See "pg_lsn Type" in the PostgreSQL manual. Zero is no valid position.
public struct LSN: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The byte number.
    public var value: UInt64

    /// The position at byte `value`.
    public init(_ value: UInt64) { self.value = value }

    /// Reads the server's text form; nil when the text is something else.
    public init?(_ text: some StringProtocol) {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, halves.allSatisfy({ !$0.isEmpty && $0.count <= 8 && $0.allSatisfy(\.isHexDigit) }),
            let high = UInt64(halves[0], radix: 16), let low = UInt64(halves[1], radix: 16)
        else { return nil }
        value = high << 32 | low
    }

    /// The server's text form.
    public var description: String {
        String(value >> 32, radix: 16, uppercase: true) + "/" + String(value & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }

    /// Earlier in the log is less.
    public static func < (a: LSN, b: LSN) -> Bool { a.value < b.value }
}

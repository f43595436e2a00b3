/// A piece of events that is handed over in parts, because it is long. Between two parts it may be forgotten and made
/// again.
struct LongPiece {
    /// From where a piece is made, so that it is the same each time.
    struct Start {
        /// The offset of the first change to look at.
        var offset: UInt64
        var writer: EventFraming
        /// How many events may still come.
        var left: Int
    }

    private var bytes: [UInt8]?
    private var sentCount = 0
    private let count: Int
    private let hash: Int
    private let start: Start

    /// The longest part.
    static let partBytes = 1 << 20

    /// A piece of which nothing was handed over.
    init(_ bytes: [UInt8], from start: Start) {
        self.bytes = bytes
        self.start = start
        count = bytes.count
        hash = Self.hash(of: bytes)
    }

    /// From where to make it again; nil while it is here.
    var startIfForgotten: Start? { bytes == nil ? start : nil }
    /// True when all of it was handed over.
    var isAtEnd: Bool { sentCount == count }

    /// Forgets the bytes, but not how many of them were handed over.
    mutating func forget() { bytes = nil }

    /// Takes the bytes that were made again. False when they are others.
    mutating func takeAgain(_ made: [UInt8]) -> Bool {
        guard made.count == count, Self.hash(of: made) == hash else { return false }
        bytes = made
        return true
    }

    /// The next part; empty when the bytes are not here.
    mutating func nextPart() -> [UInt8] {
        let part = (bytes ?? [])[min(sentCount, bytes?.count ?? 0)...].prefix(Self.partBytes)
        sentCount += part.count
        return Array(part)
    }

    private static func hash(of bytes: [UInt8]) -> Int {
        var hasher = Hasher()
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}

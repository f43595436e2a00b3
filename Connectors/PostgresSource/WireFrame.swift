internal import ByteKit

/// A message of the server's protocol in a run of received bytes ("Message Formats"): its kind, and where its body
/// lies.
struct WireFrame: Equatable {
    /// The byte that names the message.
    var kind: UInt8
    /// Where the body lies in the bytes.
    var body: Range<Int>

    /// The kinds that a walsender sends once it streams.
    enum Kind {
        static let copyBoth = UInt8(ascii: "W")
        static let copyData = UInt8(ascii: "d")
        static let copyDone = UInt8(ascii: "c")
        static let commandComplete = UInt8(ascii: "C")
        static let readyForQuery = UInt8(ascii: "Z")
        static let error = UInt8(ascii: "E")
        static let notice = UInt8(ascii: "N")
        static let parameterStatus = UInt8(ascii: "S")
    }

    /// What is at a place of the bytes.
    enum Look: Equatable {
        /// A whole message.
        case whole(WireFrame)
        /// The front of a message that takes this many bytes in all, or at least this many.
        case partial(needed: Int)
    }

    /// The server never sends more (MaxAllocSize).
    static let lengthMax = 0x4000_0000
    /// The kind byte and the length.
    static let headerLength = 5

    /// Looks at the message that begins at `offset`. Throws when no server can have sent it.
    static func look(at offset: Int, in bytes: RawSpan) throws(WireError) -> Look {
        guard bytes.byteCount - offset >= headerLength else { return .partial(needed: headerLength) }
        var reader = ByteReader(bytes.extracting(offset..<(offset + headerLength)))
        guard let kind = reader.byte(), let length = reader.bigEndian(Int32.self) else {
            return .partial(needed: headerLength)
        }
        guard length >= 4, length <= lengthMax else { throw .frameLength(kind: kind, length: Int(length)) }
        let end = offset + 1 + Int(length)
        guard end <= bytes.byteCount else { return .partial(needed: end - offset) }
        return .whole(WireFrame(kind: kind, body: (offset + headerLength)..<end))
    }

    /// Reads the body of an ErrorResponse ("Error and Notice Message Fields"). Detail and context are left unread.
    static func serverError(_ body: RawSpan) -> ServerError {
        var reader = ByteReader(body)
        var (state, message, severity) = (String?.none, "no message", "")
        while let field = reader.byte(), field != 0, let text = reader.cString() {
            switch field {
            case UInt8(ascii: "C"): state = text
            case UInt8(ascii: "M"): message = text
            case UInt8(ascii: "V"): severity = text
            default: break
            }
        }
        return ServerError(
            sqlState: state, message: message, isConnectionLost: severity == "FATAL" || severity == "PANIC")
    }
}

/// Bytes that no server can have sent: the stream is damaged, or its reader has lost its place.
enum WireError: Error, Equatable {
    /// The length of a message is impossible.
    case frameLength(kind: UInt8, length: Int)
    /// A message of a kind that does not belong in the stream.
    case unexpectedFrame(UInt8)
    /// A message of the streaming replication protocol of an unknown kind.
    case unknownReplicationMessage(UInt8)
    /// A pgoutput message of an unknown kind.
    case unknownMessage(UInt8)
    /// A message ends before its fields do.
    case truncated(StaticString)
    /// A message goes on after its fields.
    case trailingBytes(StaticString)
    /// A field has a value that has no meaning.
    case meaningless(StaticString)
    /// A message comes where none of its kind may stand, such as a row outside of a transaction.
    case outOfPlace(StaticString)
    /// A row of a relation that was not announced.
    case unknownRelation(UInt32)
    /// A row with another number of columns than its relation has.
    case columnCount(relation: UInt32, columns: Int, values: Int)
    /// A transaction with more changes than ordinals have room for.
    case tooManyChanges

    static func == (a: WireError, b: WireError) -> Bool { a.text == b.text }

    /// What is wrong, without any value of a row.
    var text: String {
        switch self {
        case .frameLength(let kind, let length): "a message of kind \(kind) claims a length of \(length)"
        case .unexpectedFrame(let kind): "a message of kind \(kind) does not belong in the stream"
        case .unknownReplicationMessage(let kind): "a replication message of unknown kind \(kind)"
        case .unknownMessage(let kind): "a pgoutput message of unknown kind \(kind)"
        case .truncated(let part): "\(part) ends too early"
        case .trailingBytes(let part): "\(part) has bytes behind its end"
        case .meaningless(let part): "\(part) has a value without meaning"
        case .outOfPlace(let part): "\(part) comes where it may not stand"
        case .unknownRelation(let id): "a row of relation \(id), which was not announced"
        case .columnCount(let relation, let columns, let values):
            "a row of relation \(relation) has \(values) values for \(columns) columns"
        case .tooManyChanges: "a transaction has more than 2,147,483,647 changes"
        }
    }
}

internal import ByteKit
internal import ChangeModel

/// The kinds of pgoutput messages of protocol 1; one struct for each, with the names of "Logical Replication Message
/// Formats".
///
/// Every struct is read from a whole payload, kind byte included, and takes all of it: too few bytes and too many are
/// errors.
enum PgOutputMessage {
    /// Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate, Message.
    enum Kind: UInt8 {
        case begin = 0x42
        case commit = 0x43
        case origin = 0x4F
        case relation = 0x52
        case type = 0x59
        case insert = 0x49
        case update = 0x55
        case delete = 0x44
        case truncate = 0x54
        case message = 0x4D
    }

    /// The kind of a payload.
    static func kind(of payload: RawSpan) throws(WireError) -> Kind {
        var reader = ByteReader(payload)
        guard let byte = reader.byte() else { throw .truncated("pgoutput message") }
        guard let kind = Kind(rawValue: byte) else { throw .unknownMessage(byte) }
        return kind
    }
}

/// The start of a transaction.
struct BeginMessage: Equatable {
    /// The LSN of the commit record: the transaction's place in the order of commits.
    var finalLSN: LSN
    /// When it was committed, in microseconds since 2000-01-01 00:00 UTC.
    var commitTimestamp: Int64
    /// The transaction's number.
    var xid: UInt32

    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let lsn = reader.bigEndian(UInt64.self), let time = reader.bigEndian(Int64.self),
            let xid = reader.bigEndian(UInt32.self)
        else { throw .truncated("Begin") }
        guard reader.remaining == 0 else { throw .trailingBytes("Begin") }
        (finalLSN, commitTimestamp, self.xid) = (LSN(lsn), time, xid)
    }
}

/// The end of a transaction.
struct CommitMessage: Equatable {
    /// The LSN of the commit record.
    var commitLSN: LSN
    /// The LSN behind the commit record: what may be confirmed.
    var endLSN: LSN
    /// When it was committed, in microseconds since 2000-01-01 00:00 UTC.
    var commitTimestamp: Int64

    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(2), let commit = reader.bigEndian(UInt64.self), let end = reader.bigEndian(UInt64.self),
            let time = reader.bigEndian(Int64.self)
        else { throw .truncated("Commit") }
        guard reader.remaining == 0 else { throw .trailingBytes("Commit") }
        (commitLSN, endLSN, commitTimestamp) = (LSN(commit), LSN(end), time)
    }
}

/// Where a transaction came from, when another server sent it to this one.
struct OriginMessage: Equatable {
    /// The commit on the origin.
    var commitLSN: LSN
    /// The origin's name.
    var name: String

    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let lsn = reader.bigEndian(UInt64.self), let name = reader.cString() else {
            throw .truncated("Origin")
        }
        guard reader.remaining == 0 else { throw .trailingBytes("Origin") }
        (commitLSN, self.name) = (LSN(lsn), name)
    }
}

/// A table's shape, sent before its first row and after every change of it.
struct RelationMessage: Equatable {
    /// How a table's old rows are identified (`pg_class.relreplident`).
    enum ReplicaIdentity: UInt8 {
        case byDefault = 0x64
        case nothing = 0x6E
        case full = 0x66
        case index = 0x69
    }

    /// A column of the table.
    struct Column: Equatable {
        /// True when it is part of the replica identity.
        var isKey: Bool
        var name: String
        var typeID: UInt32
        var typeModifier: Int32
    }

    /// The table's oid.
    var relationID: UInt32
    /// The schema.
    var namespace: String
    var relationName: String
    var replicaIdentity: ReplicaIdentity
    var columns: [Column]
    /// The types that are not built in, as the server announced them just before: also those that were dropped since.
    var types: [TypeMessage] = []

    var qualifiedName: String { namespace + "." + relationName }

    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let id = reader.bigEndian(UInt32.self), let namespace = reader.cString(),
            let name = reader.cString(), let identity = reader.byte(), let count = reader.bigEndian(Int16.self)
        else { throw .truncated("Relation") }
        guard let identity = ReplicaIdentity(rawValue: identity), count >= 0 else { throw .meaningless("Relation") }
        relationID = id
        self.namespace = namespace.isEmpty ? "pg_catalog" : namespace
        relationName = name
        replicaIdentity = identity
        columns = []
        for _ in 0..<count {
            guard let flags = reader.byte(), let name = reader.cString(), let type = reader.bigEndian(UInt32.self),
                let modifier = reader.bigEndian(Int32.self)
            else { throw .truncated("Relation") }
            columns.append(Column(isKey: flags & 1 != 0, name: name, typeID: type, typeModifier: modifier))
        }
        guard reader.remaining == 0 else { throw .trailingBytes("Relation") }
    }
}

/// The name of a type that is not built in, sent before the relation that uses it.
struct TypeMessage: Equatable {
    var typeID: UInt32
    var namespace: String
    var name: String

    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let id = reader.bigEndian(UInt32.self), let namespace = reader.cString(),
            let name = reader.cString()
        else { throw .truncated("Type") }
        guard reader.remaining == 0 else { throw .trailingBytes("Type") }
        (typeID, self.namespace, self.name) = (id, namespace, name)
    }
}

/// A new row.
struct InsertMessage: ~Escapable {
    let relationID: UInt32
    /// The row, whole and well formed.
    let newTuple: RawSpan

    @_lifetime(copy payload)
    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let id = reader.bigEndian(UInt32.self), let tag = reader.byte() else {
            throw .truncated("Insert")
        }
        guard tag == UInt8(ascii: "N") else { throw .meaningless("Insert") }
        let rest = payload.extracting(droppingFirst: reader.offset)
        guard let length = TupleReader.length(ofTupleIn: rest) else { throw .truncated("Insert") }
        guard length == rest.byteCount else { throw .trailingBytes("Insert") }
        relationID = id
        newTuple = rest
    }
}

/// A changed row.
struct UpdateMessage: ~Escapable {
    let relationID: UInt32
    /// What is known of the row before.
    let oldImage: BeforeImage
    /// The row before, or its key; empty when nothing is known.
    let oldTuple: RawSpan
    /// The row, whole and well formed.
    let newTuple: RawSpan

    @_lifetime(copy payload)
    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let id = reader.bigEndian(UInt32.self), var tag = reader.byte() else {
            throw .truncated("Update")
        }
        var image = BeforeImage.none
        var old = payload.extracting(0..<0)
        if tag == UInt8(ascii: "K") || tag == UInt8(ascii: "O") {
            image = tag == UInt8(ascii: "K") ? .key : .full
            let rest = payload.extracting(droppingFirst: reader.offset)
            guard let length = TupleReader.length(ofTupleIn: rest), reader.skip(length), let next = reader.byte() else {
                throw .truncated("Update")
            }
            old = rest.extracting(0..<length)
            tag = next
        }
        guard tag == UInt8(ascii: "N") else { throw .meaningless("Update") }
        let rest = payload.extracting(droppingFirst: reader.offset)
        guard let length = TupleReader.length(ofTupleIn: rest) else { throw .truncated("Update") }
        guard length == rest.byteCount else { throw .trailingBytes("Update") }
        relationID = id
        oldImage = image
        oldTuple = old
        newTuple = rest
    }
}

/// A row that is gone.
struct DeleteMessage: ~Escapable {
    let relationID: UInt32
    /// What is known of the row.
    let oldImage: BeforeImage
    /// The row or its key, whole and well formed.
    let oldTuple: RawSpan

    @_lifetime(copy payload)
    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let id = reader.bigEndian(UInt32.self), let tag = reader.byte() else {
            throw .truncated("Delete")
        }
        guard tag == UInt8(ascii: "K") || tag == UInt8(ascii: "O") else { throw .meaningless("Delete") }
        let rest = payload.extracting(droppingFirst: reader.offset)
        guard let length = TupleReader.length(ofTupleIn: rest) else { throw .truncated("Delete") }
        guard length == rest.byteCount else { throw .trailingBytes("Delete") }
        relationID = id
        oldImage = tag == UInt8(ascii: "K") ? .key : .full
        oldTuple = rest
    }
}

/// Tables that were emptied by one statement.
struct TruncateMessage: Equatable {
    /// True for CASCADE.
    var cascades: Bool
    /// True for RESTART IDENTITY.
    var restartsIdentity: Bool
    var relationIDs: [UInt32]
    /// The options as a change has them.
    var flags: ChangeFlags {
        var flags: ChangeFlags = []
        if cascades { flags.insert(.cascades) }
        if restartsIdentity { flags.insert(.restartsIdentity) }
        return flags
    }

    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let count = reader.bigEndian(Int32.self), let options = reader.byte() else {
            throw .truncated("Truncate")
        }
        guard count >= 0 else { throw .meaningless("Truncate") }
        guard reader.remaining / 4 >= count else { throw .truncated("Truncate") }
        cascades = options & 1 != 0
        restartsIdentity = options & 2 != 0
        relationIDs = []
        for _ in 0..<count {
            guard let id = reader.bigEndian(UInt32.self) else { throw .truncated("Truncate") }
            relationIDs.append(id)
        }
        guard reader.remaining == 0 else { throw .trailingBytes("Truncate") }
    }
}

/// A logical decoding message, written by `pg_logical_emit_message`.
struct LogicalMessage: ~Escapable {
    /// False for a message that does not belong to a transaction.
    let isTransactional: Bool
    let messageLSN: LSN
    /// The prefix as the database has it, whatever its encoding.
    let prefixBytes: RawSpan
    let content: RawSpan
    /// The prefix as text; what is not UTF-8 becomes U+FFFD.
    var prefix: String { unsafe prefixBytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }

    @_lifetime(copy payload)
    init(_ payload: RawSpan) throws(WireError) {
        var reader = ByteReader(payload)
        guard reader.skip(1), let flags = reader.byte(), let lsn = reader.bigEndian(UInt64.self),
            let prefix = Self.takePrefix(&reader, payload), let length = reader.bigEndian(Int32.self),
            let content = reader.take(Int(length))
        else { throw .truncated("Message") }
        guard reader.remaining == 0 else { throw .trailingBytes("Message") }
        isTransactional = flags & 1 != 0
        messageLSN = LSN(lsn)
        prefixBytes = prefix
        self.content = content
    }

    /// The bytes up to the next zero byte, which is read over.
    @_lifetime(copy payload)
    private static func takePrefix(_ reader: inout ByteReader, _ payload: RawSpan) -> RawSpan? {
        let start = reader.offset
        while let byte = reader.byte() {
            if byte == 0 { return payload.extracting(start..<(reader.offset &- 1)) }
        }
        return nil
    }
}

/// What happened to a row.
public enum Operation: UInt8, Sendable, CaseIterable {
    case insert = 1
    case update = 2
    case delete = 3
    case truncate = 4
    /// A row that existed before the stream began.
    case snapshot = 5
    /// A message that an application wrote into the source's log, as a row of a relation made for it.
    case message = 6
    /// The begin of a transaction, likewise.
    case begin = 7
    /// The end of a transaction, likewise.
    case commit = 8

    /// The word that events use.
    public var name: StaticString {
        switch self {
        case .insert: "insert"
        case .update: "update"
        case .delete: "delete"
        case .truncate: "truncate"
        case .snapshot: "snapshot"
        case .message: "message"
        case .begin: "begin"
        case .commit: "commit"
        }
    }
}

/// What few changes have to say about themselves.
public struct ChangeFlags: OptionSet, Sendable, BitwiseCopyable, Hashable {
    /// The bits, as they are stored.
    public let rawValue: UInt16

    /// The flags of these bits.
    @inlinable
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// A truncate that was told to empty referring tables too.
    public static let cascades = ChangeFlags(rawValue: 1)
    /// A truncate that was told to restart the table's sequences.
    public static let restartsIdentity = ChangeFlags(rawValue: 2)
}

/// What a change knows about the row as it was before.
public enum BeforeImage: UInt8, Sendable {
    /// Nothing.
    case none = 0
    /// Only the columns of the key; the others are null in the tuple (pgoutput's `K`).
    case key = 1
    /// The whole row (pgoutput's `O`).
    case full = 2
}

/// A run of bytes in the body of a batch.
public struct ByteRange: Sendable, BitwiseCopyable, Hashable {
    /// The first byte's place.
    public var offset: UInt32
    /// How many bytes.
    public var length: UInt32

    /// A run of `length` bytes at `offset`.
    @inlinable
    public init(offset: UInt32, length: UInt32) {
        self.offset = offset
        self.length = length
    }

    /// No bytes.
    public static let empty = ByteRange(offset: 0, length: 0)

    /// True for no bytes.
    @inlinable public var isEmpty: Bool { length == 0 }
    /// The places of the bytes.
    @inlinable public var indices: Range<Int> { Int(offset)..<(Int(offset) &+ Int(length)) }
}

/// One row change in a batch: 32 bytes that point to a relation, a transaction and tuples of the same batch.
///
/// This is also the form in which the log stores it (native byte order), so its fields never move.
public struct RowChange: Sendable, BitwiseCopyable {
    /// `Operation.rawValue`; checked when a batch is built or decoded.
    @usableFromInline var operationCode: UInt8
    /// `BeforeImage.rawValue`; checked likewise.
    @usableFromInline var beforeCode: UInt8
    /// What else is to be said about it.
    public var flags: ChangeFlags
    /// Index into the batch's relations.
    public var relation: UInt32
    /// Index into the batch's transactions.
    public var transaction: UInt32
    /// Number of the change in its transaction; see ``ChangeIdentity/ordinal``.
    public var ordinal: UInt32
    /// The tuple before the change; empty when ``beforeImage`` is none.
    public var before: ByteRange
    /// The tuple after the change; empty for delete and truncate.
    public var after: ByteRange

    /// A descriptor of its parts.
    @inlinable
    public init(
        operation: Operation, relation: UInt32, transaction: UInt32, ordinal: UInt32,
        beforeImage: BeforeImage = .none, before: ByteRange = .empty, after: ByteRange = .empty,
        flags: ChangeFlags = []
    ) {
        operationCode = operation.rawValue
        beforeCode = beforeImage.rawValue
        self.flags = flags
        self.relation = relation
        self.transaction = transaction
        self.ordinal = ordinal
        self.before = before
        self.after = after
    }

    /// What happened.
    @inlinable public var operation: Operation { Operation(rawValue: operationCode) ?? .insert }
    /// What is known of the row before.
    @inlinable public var beforeImage: BeforeImage { BeforeImage(rawValue: beforeCode) ?? .none }

    /// True when both codes have a meaning.
    var hasKnownCodes: Bool { Operation(rawValue: operationCode) != nil && BeforeImage(rawValue: beforeCode) != nil }
}

/// The transaction of row changes: 32 bytes, stored like ``RowChange``.
public struct TransactionInfo: Sendable, BitwiseCopyable, Hashable {
    /// The commit, as in ``ChangeIdentity/commit``.
    public var commit: UInt64
    /// The database's transaction number; 0 when it has none (SQLite).
    public var id: UInt64
    /// When it was committed, in microseconds since 1970-01-01 00:00 UTC.
    public var committedAt: Int64
    /// What the application said about the transaction, as it said it: UTF-8 that is meant to be JSON. Empty when it
    /// said nothing. Every batch that holds a part of the transaction has it.
    public var context: ByteRange

    /// A transaction of its parts.
    @inlinable
    public init(commit: UInt64, id: UInt64, committedAt: Int64, context: ByteRange = .empty) {
        self.commit = commit
        self.id = id
        self.committedAt = committedAt
        self.context = context
    }
}

/// Which change of a source this is: its commit and its ordinal in that commit. With the source's name it is the
/// identity of the event, the same on every delivery and after every restart.
///
/// Ordered as the source committed. For PostgreSQL `commit` is the commit LSN; for SQLite it is the number of the
/// change-log row. Rows read by a snapshot have ordinals from ``snapshotOrdinalMin`` on, at the commit that their chunk
/// follows. The begin and the end of a transaction have ordinals of their own: ``beginOrdinal``, which comes before all
/// others, and ``commitOrdinal``, which comes behind all changes of the transaction.
public struct ChangeIdentity: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// The source's number of the commit; larger is later.
    public var commit: UInt64
    /// The number of the change inside of its commit, counted from 0 over every row change, before any filter.
    public var ordinal: UInt32

    /// The first ordinal that marks a snapshot row.
    public static let snapshotOrdinalMin: UInt32 = 0x8000_0000
    /// The ordinal of a transaction's begin. Changes are counted from 0, whatever is captured, so none is left before.
    public static let beginOrdinal: UInt32 = .max
    /// The ordinal of a transaction's end. No change has it or a greater one.
    public static let commitOrdinal: UInt32 = 0x7FFF_FFFF

    /// The change `ordinal` of `commit`.
    public init(commit: UInt64, ordinal: UInt32) {
        self.commit = commit
        self.ordinal = ordinal
    }

    /// Earlier commit first, then the begin, then earlier changes.
    @inlinable
    public static func < (a: ChangeIdentity, b: ChangeIdentity) -> Bool {
        a.commit != b.commit ? a.commit < b.commit : a.ordinal &+ 1 < b.ordinal &+ 1
    }
}

/// What the source may forget once it was confirmed, as the source counts: an LSN for PostgreSQL, a change-log number
/// for SQLite. Never goes back.
public struct ResumePosition: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// The source's own number.
    public var value: UInt64

    /// The position `value`.
    public init(_ value: UInt64) { self.value = value }

    /// Earlier is less.
    public static func < (a: ResumePosition, b: ResumePosition) -> Bool { a.value < b.value }
}

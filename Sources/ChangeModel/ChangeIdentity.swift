/// Which change of a source this is: its commit and its ordinal in that commit. With the source's name it is the
/// identity of the event, the same on every delivery and after every restart.
///
/// Ordered as the source committed. For PostgreSQL `commit` is the commit LSN; for SQLite it is the number of the
/// change-log row. Rows read by a snapshot have ordinals from ``snapshotOrdinalMin`` on, at the commit that their chunk
/// follows.
public struct ChangeIdentity: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// The source's number of the commit; larger is later.
    public var commit: UInt64
    /// The number of the change inside of its commit, counted from 0 over every row change, before any filter.
    public var ordinal: UInt32

    /// The first ordinal that marks a snapshot row.
    public static let snapshotOrdinalMin: UInt32 = 0x8000_0000

    /// The change `ordinal` of `commit`.
    public init(commit: UInt64, ordinal: UInt32) {
        self.commit = commit
        self.ordinal = ordinal
    }

    /// Earlier commit first, then earlier change.
    @inlinable
    public static func < (a: ChangeIdentity, b: ChangeIdentity) -> Bool {
        a.commit != b.commit ? a.commit < b.commit : a.ordinal < b.ordinal
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

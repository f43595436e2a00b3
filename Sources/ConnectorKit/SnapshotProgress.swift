/// How far a source is with reading rows that are there already.
public struct SnapshotProgress: Sendable, Equatable {
    /// The table that is read now, or one of them.
    public var table: String
    /// How many tables are not done.
    public var tablesLeft: Int
    /// Rows that were read since the source was opened.
    public var rowCount: UInt64
    /// About how many rows are still to be read; 0 when that is not known.
    public var rowsLeft: UInt64

    /// Progress of its parts.
    public init(table: String, tablesLeft: Int, rowCount: UInt64, rowsLeft: UInt64) {
        self.table = table
        self.tablesLeft = tablesLeft
        self.rowCount = rowCount
        self.rowsLeft = rowsLeft
    }
}

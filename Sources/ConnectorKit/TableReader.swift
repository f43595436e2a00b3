public import ChangeModel

/// Reads what captured tables hold now, to compare it with what their events say. Changes nothing in the database.
///
/// One task calls all functions, one call at a time: `open`, then `beginUnlogged` and `nextUnlogged`, then for each
/// table `beginRows` and `nextRows`, then `close`.
public protocol TableReader: Sendable {
    /// Connects and takes a view of the tables that `wanted` accepts: all rows that are read later are as of one
    /// moment. `expected` is the source that the log was made from; another one is refused.
    func open(
        of expected: SourceIdentity?, wanted: @escaping @Sendable (Relation) -> Bool
    ) async throws(ConnectorFailure) -> TableView

    /// Begins to read the changes that are in the view and not in a log that ends at `checkpoint`. False when somebody
    /// else reads the source now: then wait until the log has them.
    func beginUnlogged(after checkpoint: SourceCheckpoint?) async throws(ConnectorFailure) -> Bool

    /// The next of those changes; nil at their end.
    func nextUnlogged() async throws(ConnectorFailure) -> ChangeBatch?

    /// Begins to read the rows of a table of the view, by its index there.
    func beginRows(ofTable index: Int) async throws(ConnectorFailure)

    /// The next rows, as snapshot changes whose tuples have the columns of the table's relation; nil at their end.
    func nextRows() async throws(ConnectorFailure) -> ChangeBatch?

    /// Ends the view and disconnects. Callable in any state.
    func close() async
}

/// What a reader of tables sees: one moment of the database, and how the source's changes stand to it.
public struct TableView: Sendable {
    /// The tables, in the order in which they are to be read.
    public var tables: [ViewedTable]
    /// A log that has reached this position has every change of the view.
    public var end: ResumePosition
    /// True when ``Relation/sourceID`` is a table's own number, which outlives a new name.
    public var numbersOutliveNames: Bool
    /// True when a snapshot that somebody asks for tells consumers to forget the table first.
    public var snapshotsForgetOldKeys: Bool
    /// True for a change that is in the view.
    public var contains: @Sendable (TransactionInfo, ChangeIdentity) -> Bool
    /// Which rows of a table must have events in a log that ends at a checkpoint.
    public var coverage: @Sendable (ViewedTable, SourceCheckpoint?) -> RowCoverage

    /// A view of its parts.
    public init(
        tables: [ViewedTable], end: ResumePosition, numbersOutliveNames: Bool, snapshotsForgetOldKeys: Bool,
        contains: @escaping @Sendable (TransactionInfo, ChangeIdentity) -> Bool,
        coverage: @escaping @Sendable (ViewedTable, SourceCheckpoint?) -> RowCoverage
    ) {
        self.tables = tables
        self.end = end
        self.numbersOutliveNames = numbersOutliveNames
        self.snapshotsForgetOldKeys = snapshotsForgetOldKeys
        self.contains = contains
        self.coverage = coverage
    }
}

/// A table of a view.
public struct ViewedTable: Sendable {
    /// Name, number, and the captured columns as they are now.
    public var relation: Relation
    /// Why it cannot be compared; nil when it can.
    public var obstacle: String?
    /// What somebody who reads the result should know.
    public var remarks: [String]

    /// A table of its parts.
    public init(relation: Relation, obstacle: String? = nil, remarks: [String] = []) {
        self.relation = relation
        self.obstacle = obstacle
        self.remarks = remarks
    }
}

/// Which rows of a table must have events.
public enum RowCoverage: Sendable, Equatable {
    /// All: the log begins with the table, or has its snapshot.
    case all
    /// Those that were written since capture began; why older ones need not have any.
    case changed(why: String)
    /// Nothing can be said of the table yet: consumers have rows of another one under its name, or are about to be told
    /// to forget what they have.
    case notYet(why: String)
}

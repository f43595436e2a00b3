package import ChangeModel
package import ConnectorKit

/// One transaction that the suite wants committed.
package enum WorkloadStep: Sendable, Equatable {
    /// Inserts new rows.
    case insert(rows: Int)
    /// Changes that many of the rows that are there, each once, and not their keys.
    case update(rows: Int)
    /// Deletes that many of the rows that are there.
    case delete(rows: Int)

    /// How many row changes it makes.
    package var rows: Int {
        switch self {
        case .insert(let rows), .update(let rows), .delete(let rows): rows
        }
    }

    /// What it does to each row.
    package var operation: Operation {
        switch self {
        case .insert: .insert
        case .update: .update
        case .delete: .delete
        }
    }

    /// The work that most rules use; it follows an insert of three rows.
    package static let standard: [WorkloadStep] = [
        .insert(rows: 7), .update(rows: 4), .delete(rows: 2), .insert(rows: 1), .update(rows: 3), .insert(rows: 12),
    ]
}

/// A source and its database, as a connector's test hands them to ``SourceConformance``.
///
/// Each rule wants one of its own: a database whose captured table is empty and whose slot or capture no source has
/// read yet. Let the source make small batches (a few rows), or the rules meet too few batch borders.
package struct SourceUnderTest: Sendable {
    /// A new source object, not yet open, on the same database and slot each time.
    package var makeSource: @Sendable () async throws -> any ChangeSource
    /// Commits one transaction.
    package var apply: @Sendable (WorkloadStep) async throws -> Void
    /// The captured table now, in the form of ``RowFold/texts``; nil when the test cannot tell. Without it
    /// ``SourceRule/foldEqualsTable`` is not checked.
    package var tableState: (@Sendable () async throws -> [String: String])?
    /// What the database itself remembers as confirmed (`confirmed_flush_lsn`); nil when the test cannot tell. Without
    /// it rules on confirmation look at behaviour only.
    package var confirmedPosition: (@Sendable () async throws -> ResumePosition)?
    /// False when every change is a commit of its own (SQLite).
    package var hasTransactions: Bool
    /// A batch's body is never longer, in bytes: the source's limit plus one row and one batch's descriptors.
    package var batchBytesMax: Int
    /// How long any one call may take; generous, because only a broken source needs it.
    package var patience: Duration

    /// A source under test of its parts.
    package init(
        batchBytesMax: Int, hasTransactions: Bool = true, patience: Duration = .seconds(30),
        makeSource: @escaping @Sendable () async throws -> any ChangeSource,
        apply: @escaping @Sendable (WorkloadStep) async throws -> Void,
        tableState: (@Sendable () async throws -> [String: String])? = nil,
        confirmedPosition: (@Sendable () async throws -> ResumePosition)? = nil
    ) {
        self.batchBytesMax = batchBytesMax
        self.hasTransactions = hasTransactions
        self.patience = patience
        self.makeSource = makeSource
        self.apply = apply
        self.tableState = tableState
        self.confirmedPosition = confirmedPosition
    }
}

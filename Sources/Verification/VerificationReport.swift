package import ChangeModel

/// What a comparison of a log with its source found.
package struct VerificationReport: Sendable {
    /// The tables, by name.
    package var tables: [TableReport]
    /// The log offsets that were folded.
    package var offsets: Range<UInt64>
    /// How many changes were read from the source itself, because the log does not have them yet.
    package var unloggedCount: Int
    /// Where in the source the comparison was made.
    package var position: ResumePosition

    /// True when no difference was found; that is not yet a proof, see ``isComplete``.
    package var isEqual: Bool { tables.allSatisfy(\.isEqual) }
    /// True when every value of every row could be compared.
    package var isComplete: Bool { tables.allSatisfy(\.isComplete) }
}

/// What the comparison of one table found.
package struct TableReport: Sendable {
    /// `schema.table`
    package var name: String
    /// How many rows the table has.
    package var rowCount = 0
    /// How many events were folded.
    package var eventCount = 0
    /// Rows that are what their events say, in every column.
    package var equalCount = 0
    /// Rows that are what their events say in every column that could be compared, and in some that could not.
    package var partlyEqualCount = 0
    /// Rows without an event that need not have one.
    package var unjudgedCount = 0
    /// Rows that are not what their events say.
    package var differentCount = 0
    /// Rows of the table that should have an event and have none.
    package var onlyInTableCount = 0
    /// Rows that the events say are there and the table does not have.
    package var onlyInLogCount = 0
    /// Rows that consumers have under a key that the table does not have any more. They are counted beside the others,
    /// because their content may be right.
    package var oldKeyCount = 0
    /// Why nothing was compared; nil when something was.
    package var obstacle: String?
    /// True for an outbox table, where there is nothing to compare.
    package var isOutbox = false
    /// What could not be compared, and why.
    package var remarks: [String] = []
    /// The first differences.
    package var differences: [RowDifference] = []

    /// A report without findings.
    package init(name: String) { self.name = name }

    /// How many differences there are.
    package var differenceCount: Int { differentCount + onlyInTableCount + onlyInLogCount + oldKeyCount }
    /// True when no difference was found.
    package var isEqual: Bool { differenceCount == 0 }
    /// True when everything was compared.
    package var isComplete: Bool { (obstacle == nil || isOutbox) && partlyEqualCount == 0 && unjudgedCount == 0 }
}

/// One row that is not what its events say.
package struct RowDifference: Sendable, Equatable {
    /// What is wrong with it.
    package enum Kind: String, Sendable {
        /// The table's row differs from the folded one.
        case different
        /// The row should have an event.
        case onlyInTable = "only_in_table"
        /// The row should be in the table.
        case onlyInLog = "only_in_log"
    }

    /// What is wrong.
    package var kind: Kind
    /// The offset of its last event in the log; nil without one.
    package var offset: UInt64?
    /// The row's key as `column=value`: row data, to be shown to nobody who did not ask for it. The whole row for a
    /// table without a key.
    package var key: String
    /// The columns that differ.
    package var columns: [String]
}

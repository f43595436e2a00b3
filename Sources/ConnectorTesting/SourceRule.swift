/// What every source must keep. The raw value is the name of the rule in a ``ConformanceViolation``.
package enum SourceRule: String, CaseIterable, Sendable {
    /// Identities strictly increase, ordinals are gapless from 0 in each transaction, and every transaction comes with
    /// all its changes.
    case deliversEverythingInOrder
    /// A fresh source that is opened with the checkpoint of any batch goes on right behind that batch: no repeat, no
    /// gap.
    case resumesAfterCheckpoint
    /// What was read but not acknowledged comes again, with equal identities and equal tuple bytes.
    case resumesWithoutCheckpointRepeatsSameIdentities
    /// Acknowledging each batch before the next loses nothing: the source forgets no more than it was told.
    case acknowledgedIsNotNeededAgain
    /// Acknowledging an earlier position changes nothing.
    case neverGoesBack
    /// The database hears of no position beyond what was acknowledged, whatever was read.
    case confirmsOnlyWhatWasAcknowledged
    /// After `close` the database has heard of what was acknowledged.
    case closeTellsWhatWasAcknowledged
    /// Without changes `nextBatch` returns an empty batch with a checkpoint at the deadline.
    case deadlineReturnsEmptyBatchWithCheckpoint
    /// From batch to batch neither `resume` nor `last` goes back.
    case checkpointsNeverGoBack
    /// A batch's checkpoint names the batch's last change.
    case checkpointNamesLastChange
    /// `close` returns in any state, twice too.
    case closeIsCallableTwice
    /// A closed source object opens again, says the same identity, and goes on.
    case opensAgainAfterClose
    /// Opened for a log of another database, a source refuses for good and changes nothing; then it opens for its own.
    case refusesAnotherDatabase
    /// However much is waiting, a batch stays under the limit.
    case boundedReadAhead
    /// Every tuple parses to its end and has its relation's columns; text is UTF-8; images fit the operation.
    case tuplesAreWellFormed
    /// Reading on reaches the end position that was asked for earlier.
    case endPositionIsReached
    /// Folding the changes gives the table.
    case foldEqualsTable
}

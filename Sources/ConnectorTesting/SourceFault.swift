/// A deliberate bug of ``PruningSourceModel``, so that a test can prove that a rule notices it.
package enum SourceFault: String, CaseIterable, Sendable {
    /// Ordinal 1 is never used.
    case leavesOrdinalGap
    /// The second change of a transaction of three or more is never delivered.
    case losesAChange
    /// A fresh source begins with the last change of the checkpoint instead of behind it.
    case repeatsLastAfterReopen
    /// A change that is read under another opening has another after image.
    case changesBytesWhenReadAgain
    /// An acknowledgement also throws away the transaction behind it.
    case prunesTooMuch
    /// An acknowledgement of an earlier position takes the confirmed position back.
    case acknowledgeGoesBack
    /// Closing confirms what was read, not what was acknowledged.
    case confirmsWhatWasRead
    /// Acknowledgements are forgotten.
    case neverConfirms
    /// Without changes, `nextBatch` waits on behind its deadline.
    case ignoresDeadline
    /// Every second batch in the middle of a backlog has resume position 0.
    case resumeGoesBack
    /// A checkpoint names the last change but one.
    case checkpointLagsBehindBatch
    /// `close` of a closed source never returns.
    case secondCloseHangs
    /// A source object opens one time only.
    case opensOnlyOnce
    /// Whatever identity is expected, a source opens.
    case opensForAnyIdentity
    /// A batch takes everything that is waiting.
    case batchesGrowWithoutBound
    /// One byte follows each after image.
    case trailingByteAfterTuple
    /// The end position is one that nothing reaches.
    case endPositionTooFar
    /// An update has the row as it was before.
    case deliversStaleRows
}

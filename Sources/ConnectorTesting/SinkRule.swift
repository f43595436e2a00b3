/// What every sink must keep. The raw value is the name of the rule in a ``ConformanceViolation``.
package enum SinkRule: String, CaseIterable, Sendable {
    /// Records are stored once, in order, under their topic.
    case storesInOrder
    /// The receipt of a required write covers the batch and everything that was accepted before, and it is stored.
    case durableCoversEarlierAccepted
    /// What comes again after a crash, in other batches, is stored once. For sinks that promise it.
    case redeliveryAfterReopenStoresOnce
    /// What comes again after a reopening is stored at least once, first appearances in order.
    case atLeastOnce
    /// An empty required write makes durable what was accepted before.
    case emptyRequiredWriteFlushes
    /// A crash takes nothing that a receipt called durable.
    case acceptedMayBeLostButDurableNever
    /// `close` returns in any state, twice too.
    case closeIsCallableTwice
    /// A closed sink object opens again and goes on.
    case opensAgainAfterClose
    /// A sink that is opened with an earlier state and offset undoes, or recognises, what it stored behind them. For
    /// sinks that promise to store once.
    case savedStateIsHonoured
}

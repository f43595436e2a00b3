internal import ChangeModel

/// Which transactions a view of the database has ("pg_snapshot", System Information Functions).
///
/// Transactions become visible in an order of their own: one whose commit record was written first may be seen last.
/// So the place of a commit in the WAL does not say whether the view has it; its number does.
struct TransactionSnapshot: Equatable, Sendable {
    /// Everything that was committed before it and is not ``running`` is in the view: the end of WAL before the view
    /// was taken.
    var taken: LSN
    /// The first number that had not been given out, in its lower half.
    var next: UInt32
    /// The numbers that were still running, in their lower halves.
    var running: Set<UInt32>

    /// Reads the server's text `xmin:xmax:xip,xip…`; nil for something else.
    init?(_ text: String, taken: LSN) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let next = UInt64(parts[1]) else { return nil }
        var running: Set<UInt32> = []
        for number in parts[2].split(separator: ",") {
            guard let number = UInt64(number) else { return nil }
            running.insert(UInt32(truncatingIfNeeded: number))
        }
        (self.taken, self.next, self.running) = (taken, UInt32(truncatingIfNeeded: next), running)
    }

    /// True for a change that the view has.
    ///
    /// Numbers wrap around. Those of recent commits lie within 2^31 of each other, which the server sees to; those of
    /// older ones need not be looked at.
    func contains(_ transaction: TransactionInfo, _ identity: ChangeIdentity) -> Bool {
        let isOld = transaction.commit < taken.value
        // A row that was read for a snapshot is the table at some moment before the end of WAL at that time.
        if identity.ordinal >= ChangeIdentity.snapshotOrdinalMin { return isOld }
        let number = UInt32(truncatingIfNeeded: transaction.id)
        if running.contains(number) { return false }
        return isOld || Int32(bitPattern: number &- next) < 0
    }
}

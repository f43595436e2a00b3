internal import ChangeModel

/// Which transactions a view of the database has ("pg_snapshot", System Information Functions).
///
/// Transactions become visible in an order of their own: one whose commit record was written first may be seen last.
/// So the place of a commit in the WAL does not say whether the view has it; its number does.
struct TransactionSnapshot: Equatable, Sendable {
    /// The end of WAL before the view was taken.
    var taken: LSN
    /// One above the highest number that had ended, in its lower half. Transactions from here on were running, or had
    /// not begun.
    var next: UInt32
    /// The numbers below ``next`` that were still running, in their lower halves.
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
    /// Numbers wrap around. Those of commits behind ``taken`` lie within 2^31 of ``next``, which the server sees to. An
    /// earlier commit is in the view, unless its record was written and its transaction had not ended: then its number
    /// is a running one, or lies not far above ``next``.
    func contains(_ transaction: TransactionInfo, _ identity: ChangeIdentity) -> Bool {
        let isOld = transaction.commit < taken.value
        // A row that was read for a snapshot is the table at some moment before the end of WAL at that time.
        if identity.ordinal >= ChangeIdentity.snapshotOrdinalMin { return isOld }
        let number = UInt32(truncatingIfNeeded: transaction.id)
        if running.contains(number) { return false }
        let above = number &- next
        return isOld ? above >= Self.runningAheadMax : Int32(bitPattern: above) < 0
    }

    /// More numbers than this are never given out while one transaction commits; fewer never divide it from another of
    /// the same lower half.
    private static let runningAheadMax: UInt32 = 1 << 30
}

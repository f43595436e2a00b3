internal import ConnectorKit

/// The records that were taken, from the first one that is not done: how far everything is delivered without a gap.
struct DeliveryWindow {
    private struct Entry {
        var offset: UInt64
        var byteCount: Int
        var isDone = false
    }

    private var entries = Queue<Entry>()
    /// The number of the first entry.
    private(set) var firstNumber = 0
    /// The log offset behind everything that was taken.
    private var takenBefore: UInt64
    /// Rejected records that no receipt has named.
    private var rejected: [RejectedRecord] = []
    /// The bytes of all entries.
    private(set) var byteCount = 0

    /// A window whose first record will be the one at `offset`, or behind it.
    init(at offset: UInt64) { takenBefore = offset }

    /// How many records are in the window.
    var count: Int { entries.count }
    /// The number that the next record gets.
    var nextNumber: Int { firstNumber + entries.count }
    /// Every record before this log offset is delivered or rejected.
    var durableBefore: UInt64 { entries.first?.offset ?? takenBefore }

    /// Adds the next record of the log; gives the number by which it is finished.
    mutating func add(offset: UInt64, byteCount: Int) -> Int {
        entries.append(Entry(offset: offset, byteCount: byteCount))
        self.byteCount += byteCount
        return nextNumber - 1
    }

    /// Everything before a log offset was taken.
    mutating func cover(before offset: UInt64) { takenBefore = max(takenBefore, offset) }

    /// A record is delivered; or rejected, with the reason.
    mutating func finish(_ number: Int, rejected reason: (code: String, message: String)? = nil) {
        let place = number - firstNumber
        guard place >= 0, place < entries.count, !entries[place].isDone else { return }
        entries[place].isDone = true
        if let reason {
            rejected.append(
                RejectedRecord(offset: entries[place].offset, code: reason.code, message: reason.message))
        }
        while let first = entries.first, first.isDone {
            entries.popFirst()
            // What comes next is not known yet: it may be another record of the same event.
            takenBefore = max(takenBefore, first.offset)
            firstNumber += 1
            byteCount -= first.byteCount
        }
    }

    /// Takes out the rejected records that lie before ``durableBefore``, in log order.
    mutating func takeRejected() -> [RejectedRecord] {
        if rejected.isEmpty { return [] }
        let end = durableBefore
        let taken = rejected.filter { $0.offset < end }.sorted { $0.offset < $1.offset }
        if !taken.isEmpty { rejected.removeAll { $0.offset < end } }
        return taken
    }
}

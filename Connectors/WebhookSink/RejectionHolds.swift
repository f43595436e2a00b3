internal import ConnectorKit

/// Keys of which a record was rejected: what was taken before the pipeline could know of that is rejected too, so that
/// no later event of a key arrives before an earlier one.
struct RejectionHolds {
    /// Rejections that were named together.
    private struct Generation {
        var keys = KeyHolds()
        /// How many rejections there were with its last one.
        var rejections: Int
        /// The first record that the pipeline gave knowing of them; nil as long as it does not.
        var end: Int?
    }

    private var generations: [Generation] = []
    private var rejections = 0

    /// True when nothing is held.
    var isEmpty: Bool { generations.isEmpty }

    /// Notes that a record was rejected.
    mutating func insert(_ record: Record, of batch: RecordBatch) {
        rejections += 1
        if generations.last.map({ $0.end != nil }) ?? true { generations.append(Generation(rejections: 0)) }
        generations[generations.count - 1].keys.insert(record, of: batch)
        generations[generations.count - 1].rejections = rejections
    }

    /// Notes that a batch whose first record has a number was put in when so many rejections had been named.
    mutating func took(_ number: Int, knowing named: Int) {
        for place in generations.indices
        where generations[place].end == nil && generations[place].rejections <= named {
            generations[place].end = number
        }
    }

    /// True when the record with a number must not be sent.
    func holds(_ record: Record, of batch: RecordBatch, number: Int) -> Bool {
        generations.contains { number < $0.end ?? .max && $0.keys.holds(record, of: batch) }
    }

    /// Forgets what no record that is not done can need; `number` is that of the first one.
    mutating func forget(before number: Int) {
        if generations.isEmpty { return }
        generations.removeAll { $0.end.map { $0 <= number } ?? false }
    }
}

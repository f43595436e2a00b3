import ConnectorKit
import ChangeModel

/// Which position of the source every sink has got, as a value: ends of the log go in with the position that they
/// cover, and come out once delivery has passed them.
///
/// It holds a bounded number of marks. When there are more, every second one is forgotten: the source is told a little
/// later then, and never too early.
struct DeliveredPositions {
    /// The most marks that are kept.
    static let marksMax = 1024

    private struct Mark {
        /// Log offset before which everything must be delivered.
        var offset: UInt64
        var resume: ResumePosition
    }
    private var marks: [Mark] = []
    /// Marks before this one were taken.
    private var taken = 0

    /// How many are kept, taken ones too.
    var markCount: Int { marks.count }
    /// True when nothing is waited for.
    var isEmpty: Bool { taken == marks.count }

    /// Everything before `offset` is durable in the log, and covered by `resume`.
    mutating func add(offset: UInt64, resume: ResumePosition) {
        if taken == marks.count { (marks, taken) = ([], 0) }
        if let last = marks.last, last.offset == offset {
            marks[marks.count - 1].resume = max(last.resume, resume)
            return
        }
        marks.append(Mark(offset: offset, resume: resume))
        if marks.count > Self.marksMax { thinOut() }
    }

    /// Everything before `offset` is durable in every sink. The newest position that this covers; nil when it is none
    /// that was not given before.
    mutating func take(deliveredBefore offset: UInt64) -> ResumePosition? {
        var newest: ResumePosition?
        while taken < marks.count, marks[taken].offset <= offset {
            newest = marks[taken].resume
            taken += 1
        }
        return newest
    }

    /// Forgets what was taken and every second of the others, but never the last.
    private mutating func thinOut() {
        let waiting = marks[taken...]
        let last = waiting.indices.last
        marks = waiting.indices.filter { index in index == last || (index - taken) % 2 == 1 }.map { waiting[$0] }
        taken = 0
    }
}

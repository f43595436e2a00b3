private import Synchronization

/// How many bytes may still be held by all requests together.
final class ByteBudget: Sendable {
    private let left: Atomic<Int>

    init(_ count: Int) { left = Atomic(count) }

    /// Takes bytes out of the budget. False, and nothing taken, when there are not so many left.
    func take(_ count: Int) -> Bool {
        if left.subtract(count, ordering: .relaxed).newValue >= 0 { return true }
        giveBack(count)
        return false
    }

    /// Puts back what was taken.
    func giveBack(_ count: Int) { left.add(count, ordering: .relaxed) }
}

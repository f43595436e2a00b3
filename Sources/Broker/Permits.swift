private import Synchronization

/// How many of something may still be had.
package final class Permits: Sendable {
    private let left: Atomic<Int>

    /// So many, and no more.
    package init(_ count: Int) { left = Atomic(count) }

    /// Takes one; false when none is left.
    package func take() -> Bool {
        if left.subtract(1, ordering: .relaxed).newValue >= 0 { return true }
        giveBack()
        return false
    }

    /// Gives back one that was taken.
    package func giveBack() { left.add(1, ordering: .relaxed) }
}

import Synchronization

/// A truth that two threads tell each other.
final class Flag: Sendable {
    private let value = Atomic(false)
    var isUp: Bool { value.load(ordering: .sequentiallyConsistent) }
    func raise() { value.store(true, ordering: .sequentiallyConsistent) }
    func lower() { value.store(false, ordering: .sequentiallyConsistent) }
}

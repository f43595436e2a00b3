internal import ChangeModel

/// Whether a recovery is still allowed, as a value. It holds for one recovery only: once what was recovered is durable,
/// the next loss is refused again, also in the same process.
struct RecoveryLeave {
    private enum State {
        case none
        case given
        /// A recovery was begun; it counts once a position beyond this one is durable.
        case used(beyond: UInt64)
    }
    private var state: State

    init(isGiven: Bool) { state = isGiven ? .given : .none }

    /// True when the next loss may be overcome.
    var isGiven: Bool {
        if case .none = state { false } else { true }
    }

    /// The source was opened after `checkpoint`. `didRecover` says whether there was something to overcome.
    mutating func opened(after checkpoint: SourceCheckpoint?, didRecover: Bool) {
        guard isGiven else { return }
        if didRecover {
            state = .used(beyond: checkpoint?.resume.value ?? 0)
        } else if case .given = state {
            state = .none
        }
    }

    /// A position is durable.
    mutating func acknowledged(_ position: ResumePosition) {
        if case .used(let before) = state, position.value > before { state = .none }
    }
}

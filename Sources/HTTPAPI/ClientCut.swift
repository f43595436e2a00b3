private import Synchronization

/// Ends the connection of a client that is being answered, from elsewhere: one that takes too long over what it keeps
/// from others.
package final class ClientCut: Sendable {
    private enum Phase {
        /// The answer has not begun.
        case early
        /// The answer is under way; with what ends its connection.
        case answering(@Sendable () -> Void)
        /// The connection ends.
        case cut
        /// The answer is over: the connection is the next request's.
        case over
    }
    private let phase = Mutex(Phase.early)

    /// Of a client whose answer has not begun.
    package init() {}

    /// Ends the connection now, or as soon as the answer begins. Does nothing once the answer is over.
    package func end() {
        let close = phase.withLock { phase -> (@Sendable () -> Void)? in
            switch phase {
            case .early: phase = .cut
            case .answering(let close):
                phase = .cut
                return close
            case .cut, .over: break
            }
            return nil
        }
        close?()
    }

    /// The answer begins: `close` ends its connection.
    func begin(_ close: @escaping @Sendable () -> Void) {
        let isCut = phase.withLock { phase in
            if case .cut = phase { return true }
            phase = .answering(close)
            return false
        }
        if isCut { close() }
    }

    /// The answer is over. False when its connection was ended meanwhile, or is about to be: then no other request may
    /// be begun on it.
    func finish() -> Bool {
        phase.withLock { phase in
            if case .cut = phase { return false }
            phase = .over
            return true
        }
    }
}

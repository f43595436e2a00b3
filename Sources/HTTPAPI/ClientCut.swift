private import Synchronization

/// Ends the connection of a client that is being answered, from elsewhere: one that takes too long over what it keeps
/// from others.
package final class ClientCut: Sendable {
    private struct State {
        var isCut = false
        var close: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    /// Of a client whose answer has not begun.
    package init() {}

    /// Ends the connection now, or as soon as the answer begins.
    package func end() {
        let close = state.withLock { state in
            state.isCut = true
            return state.close.take()
        }
        close?()
    }

    /// The answer begins: `close` ends its connection.
    func begin(_ close: @escaping @Sendable () -> Void) {
        let isCut = state.withLock { state in
            if !state.isCut { state.close = close }
            return state.isCut
        }
        if isCut { close() }
    }
}

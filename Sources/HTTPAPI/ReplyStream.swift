private import Synchronization

/// An answer that is written piece by piece: events as they come.
package final class ReplyStream: Sendable, Equatable {
    /// What comes next.
    package enum Step: Sendable {
        /// Some bytes.
        case piece([UInt8])
        /// Nothing more: the answer is whole.
        case end
        /// Nothing more, and the client must not take it for whole.
        case broken
    }

    /// What comes next. Cancelled when the client goes or the listener stops, and asked once more then at most.
    let next: @Sendable () async -> Step
    /// Is called once behind the last piece, however it ended.
    let end: @Sendable () -> Void
    /// Ends the client's connection.
    let cut: ClientCut

    /// A stream of what `next` gives, of which the client gets no more once `cut` ended its connection.
    package init(
        cut: ClientCut = ClientCut(), next: @escaping @Sendable () async -> Step, end: @escaping @Sendable () -> Void
    ) {
        self.next = next
        self.end = end
        self.cut = cut
    }

    /// A stream that has these bytes and ends behind them.
    package convenience init(_ bytes: [UInt8], cut: ClientCut, end: @escaping @Sendable () -> Void) {
        let rest = Mutex<[UInt8]?>(bytes)
        self.init(cut: cut, next: { rest.withLock { $0.take() }.map { .piece($0) } ?? .end }, end: end)
    }

    /// True for the same stream.
    package static func == (a: ReplyStream, b: ReplyStream) -> Bool { a === b }
}

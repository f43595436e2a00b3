import ConnectorKit

/// When the source is told that it may forget.
package enum Acknowledgement: Sendable, Equatable {
    /// Once the log is durable.
    case logged
    /// Once every sink has it durably as well: for machines whose disk does not outlive the process.
    case delivered
}

extension CaptureStage {
    /// How often the stage looks whether the last events were delivered before it ends.
    private static let deliveryLook = Duration.milliseconds(20)

    /// Tells the source what every sink has by now, when that is what was wanted.
    mutating func acknowledgeDelivered() {
        guard acknowledgement == .delivered, !delivered.isEmpty, let least = leastCursor else { return }
        if let resume = delivered.take(deliveredBefore: least) { source.acknowledge(resume) }
    }

    /// Keeps the source open until every sink has what was captured, so that it can be told before it is closed. Ends
    /// early when asked to stop, and when no sink is left.
    mutating func awaitDelivery() async {
        guard acknowledgement == .delivered else { return }
        while !stop.isRequested, (leastCursor ?? 0) < loggedEnd { await stop.wait(upTo: Self.deliveryLook) }
        acknowledgeDelivered()
    }

    /// The log offset before which every sink has everything durable; nil while one of them was never opened. Without
    /// sinks, nothing is waited for.
    private var leastCursor: UInt64? {
        let cursors = progress.snapshot.cursors
        var least = loggedEnd
        for sink in sinks() {
            guard let cursor = cursors[sink] else { return nil }
            least = min(least, cursor)
        }
        return least
    }
}

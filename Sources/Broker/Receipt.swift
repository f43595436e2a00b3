/// What a consumer gets with an event and comes back with: `OFFSET-DELIVERY-EPOCH`, good for this subscription as long
/// as nobody else got the event.
package struct Receipt: Sendable, Equatable {
    /// What was given out.
    package var lease: SubscriptionState.Lease
    /// Of which subscription.
    package var epoch: Int64

    init(_ lease: SubscriptionState.Lease, epoch: Int64) {
        self.lease = lease
        self.epoch = epoch
    }

    /// Reads what ``text`` wrote; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let offset = UInt64(parts[0]), let delivery = Int(parts[1]), delivery > 0,
            let epoch = Int64(parts[2], radix: 36), epoch >= 0
        else { return nil }
        self.init(SubscriptionState.Lease(offset: offset, delivery: delivery), epoch: epoch)
    }

    /// As consumers see it.
    package var text: String { "\(lease.offset)-\(lease.delivery)-\(String(epoch, radix: 36))" }
}

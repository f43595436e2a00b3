package import ConnectorKit
import GRDB

extension EventLog {
    private static let storedPoint = HaltPoint("log.subscription_stored")

    /// All subscriptions, by name.
    package func subscriptions() throws(ConnectorFailure) -> [StoredSubscription] {
        try read("read the subscriptions") { db in try SubscriptionQueries.all(db) }
    }

    /// Stores a new subscription, or other settings and another epoch of one that is there; durable on return. With
    /// another epoch, what its consumers have is forgotten.
    package func store(_ subscription: StoredSubscription) throws(ConnectorFailure) {
        try writeDurably("store the subscription \(subscription.name)") { db in
            try SubscriptionQueries.store(subscription, db)
        }
    }

    /// Forgets a subscription, so that it holds nothing back; durable on return.
    package func removeSubscription(_ name: String) throws(ConnectorFailure) {
        try writeDurably("remove the subscription \(name)") { db in try SubscriptionQueries.remove(name, db) }
    }

    /// What is with the events of a subscription behind its cursor.
    package func deliveries(of name: String) throws(ConnectorFailure) -> [StoredDelivery] {
        try read("read the deliveries of \(name)") { db in try SubscriptionQueries.deliveries(of: name, db) }
    }

    /// Stores what changed of a subscription, by one transaction. Not durable before the next sync: after a power cut
    /// consumers may get events again.
    package func store(_ changes: SubscriptionChanges, of name: String) throws(ConnectorFailure) {
        try write("store the progress of \(name)") { db in try SubscriptionQueries.store(changes, of: name, db) }
        Self.storedPoint.reached()
    }

    private func writeDurably(_ action: String, _ body: (Database) throws -> Void) throws(ConnectorFailure) {
        let covered = try position().checkpoint
        try write(action, durably: true, body)
        // That commit covers every earlier one, like a sync.
        hasUnsynced = false
        durableCheckpoint = covered
    }
}

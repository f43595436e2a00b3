package import ConnectorKit
import GRDB

extension EventLog {
    /// The code of a failure that says that a subscription is not what it was.
    package static let unknownSubscriptionCode = "log.unknown_subscription"

    private static let storedPoint = HaltPoint("log.subscription_stored")

    /// All subscriptions, by name.
    package func subscriptions() throws(ConnectorFailure) -> [StoredSubscription] {
        try read("read the subscriptions") { db in try SubscriptionQueries.all(db) }
    }

    /// Stores a new subscription, unless there is one of its name, or there are as many as there may be; durable on
    /// return.
    package func add(
        _ subscription: StoredSubscription, atMost countMax: Int
    ) throws(ConnectorFailure) -> SubscriptionAddition {
        try writeDurably("store the subscription \(subscription.name)") { db in
            try SubscriptionQueries.add(subscription, atMost: countMax, db)
        }
    }

    /// Stores other settings of a subscription; durable on return. Everything else of it stays.
    package func store(settings: String, of name: String) throws(ConnectorFailure) {
        try writeDurably("store the settings of \(name)") { db in
            try SubscriptionQueries.set(settings: settings, of: name, db)
        }
    }

    /// Moves a subscription to another place under another epoch; durable on return. What its consumers have is
    /// forgotten.
    package func move(_ name: String, to cursor: UInt64, epoch: Int64) throws(ConnectorFailure) {
        try writeDurably("move the subscription \(name)") { db in
            try SubscriptionQueries.move(name, to: cursor, epoch: epoch, db)
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

    /// Stores what changed of a subscription under the epoch that it had, by one transaction. Not durable before the
    /// next sync: after a power cut consumers may get events again.
    ///
    /// Throws `log.unknown_subscription`, and stores nothing, when it was moved or removed meanwhile.
    package func store(
        _ changes: SubscriptionChanges, of name: String, epoch: Int64
    ) throws(ConnectorFailure) {
        try write("store the progress of \(name)") { db in
            try SubscriptionQueries.store(changes, of: name, epoch: epoch, db)
        }
        Self.storedPoint.reached()
    }

    private func writeDurably<T>(
        _ action: String, _ body: (Database) throws -> T
    ) throws(ConnectorFailure) -> T {
        let covered = try position().checkpoint
        let result = try write(action, durably: true, body)
        // That commit covers every earlier one, like a sync.
        hasUnsynced = false
        durableCheckpoint = covered
        return result
    }
}

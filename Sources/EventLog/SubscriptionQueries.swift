import ConnectorKit
import GRDB

/// What is asked of the tables of subscriptions. A log that was written before there were any, and is only read now,
/// has none.
enum SubscriptionQueries {
    private static let columns = """
        name, settings, epoch, next_offset, created_at, moved_at, delivered, acknowledged, returned
        """

    static func all(_ db: Database) throws -> [StoredSubscription] {
        guard try LogFormat.hasSubscriptions(db) else { return [] }
        return try Row.fetchAll(db, sql: "SELECT \(columns) FROM subscription ORDER BY name").map(subscription)
    }

    /// The first offset that each subscription needs: that of its cursor or of an older dead letter.
    static func needs(_ db: Database) throws -> [(name: String, offset: UInt64)] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT name, min(next_offset, coalesce(
                    (SELECT min(log_offset) FROM subscription_event WHERE subscription = name), next_offset))
                FROM subscription ORDER BY name
                """)
        return try rows.map { row in
            guard let name = row[0] as String?, let offset = row[1] as Int64? else { throw unreadable }
            return (name, UInt64(bitPattern: offset))
        }
    }

    /// All subscriptions with what is with their events now.
    static func reports(_ db: Database) throws -> [SubscriptionReport] {
        let now = UTCTime.now()
        return try all(db).map { subscription in
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*) FILTER (WHERE phase = 1 AND until > ?1),
                        count(*) FILTER (WHERE phase = 2 OR phase = 1 AND until <= ?1),
                        count(*) FILTER (WHERE phase = 4)
                    FROM subscription_event WHERE subscription = ?2
                    """, arguments: [now, subscription.name])
            return SubscriptionReport(
                subscription: subscription, inFlightCount: row?[0] as Int? ?? 0, waitingCount: row?[1] as Int? ?? 0,
                deadCount: row?[2] as Int? ?? 0)
        }
    }

    static func add(
        _ subscription: StoredSubscription, atMost countMax: Int, _ db: Database
    ) throws -> SubscriptionAddition {
        let names = try String.fetchAll(db, sql: "SELECT name FROM subscription")
        if names.contains(subscription.name) { return .known }
        guard names.count < countMax else { return .tooMany }
        try db.execute(
            sql: "INSERT INTO subscription (\(columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                subscription.name, subscription.settings, subscription.epoch, Int64(bitPattern: subscription.cursor),
                subscription.createdAt, subscription.movedAt, subscription.counts.delivered,
                subscription.counts.acknowledged, subscription.counts.returned,
            ])
        return .added
    }

    static func set(settings: String, of name: String, _ db: Database) throws {
        try db.execute(sql: "UPDATE subscription SET settings = ? WHERE name = ?", arguments: [settings, name])
        guard db.changesCount == 1 else { throw LogFailure.unknownSubscription(name) }
    }

    static func move(_ name: String, to cursor: UInt64, epoch: Int64, _ db: Database) throws {
        try db.execute(
            sql: "UPDATE subscription SET next_offset = ?, epoch = ?, moved_at = ? WHERE name = ?",
            arguments: [Int64(bitPattern: cursor), epoch, UTCTime.now(), name])
        guard db.changesCount == 1 else { throw LogFailure.unknownSubscription(name) }
        try db.execute(sql: "DELETE FROM subscription_event WHERE subscription = ?", arguments: [name])
    }

    static func remove(_ name: String, _ db: Database) throws {
        try db.execute(sql: "DELETE FROM subscription_event WHERE subscription = ?", arguments: [name])
        try db.execute(sql: "DELETE FROM subscription WHERE name = ?", arguments: [name])
    }

    static func deliveries(of name: String, _ db: Database) throws -> [StoredDelivery] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT log_offset, phase, delivery_count, until FROM subscription_event WHERE subscription = ?
                ORDER BY log_offset
                """, arguments: [name])
        return try rows.map { row in
            guard let offset = row[0] as Int64?, let phase = (row[1] as Int?).flatMap(StoredDelivery.Phase.init),
                let count = row[2] as Int?, let until = row[3] as Int64?
            else { throw unreadable }
            return StoredDelivery(
                offset: UInt64(bitPattern: offset), phase: phase, deliveryCount: count, until: until)
        }
    }

    static func store(_ changes: SubscriptionChanges, of name: String, epoch: Int64, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                UPDATE subscription SET next_offset = ?, moved_at = ?, delivered = delivered + ?,
                    acknowledged = acknowledged + ?, returned = returned + ? WHERE name = ? AND epoch = ?
                """)
        try statement.execute(arguments: [
            Int64(bitPattern: changes.cursor), UTCTime.now(), changes.deliveredCount, changes.acknowledgedCount,
            changes.rejectedCount + changes.expiredCount, name, epoch,
        ])
        guard db.changesCount == 1 else { throw LogFailure.unknownSubscription(name) }
        try db.cachedStatement(
            sql: "DELETE FROM subscription_event WHERE subscription = ? AND log_offset < ? AND phase = 3"
        ).execute(arguments: [name, Int64(bitPattern: changes.cursor)])
        let delete = try db.cachedStatement(
            sql: "DELETE FROM subscription_event WHERE subscription = ? AND log_offset = ?")
        for offset in changes.removed { try delete.execute(arguments: [name, Int64(bitPattern: offset)]) }
        let insert = try db.cachedStatement(sql: "INSERT OR REPLACE INTO subscription_event VALUES (?, ?, ?, ?, ?)")
        for delivery in changes.deliveries {
            try insert.execute(arguments: [
                name, Int64(bitPattern: delivery.offset), delivery.phase.rawValue, delivery.deliveryCount,
                delivery.until,
            ])
        }
    }

    private static func subscription(_ row: Row) throws -> StoredSubscription {
        guard let name = row[0] as String?, let settings = row[1] as String?, let epoch = row[2] as Int64?,
            let cursor = row[3] as Int64?, let createdAt = row[4] as Int64?, let movedAt = row[5] as Int64?
        else { throw unreadable }
        var result = StoredSubscription(name: name, settings: settings, cursor: UInt64(bitPattern: cursor))
        (result.epoch, result.createdAt, result.movedAt) = (epoch, createdAt, movedAt)
        result.counts.delivered = row[6] as Int? ?? 0
        result.counts.acknowledged = row[7] as Int? ?? 0
        result.counts.returned = row[8] as Int? ?? 0
        return result
    }

    private static var unreadable: ConnectorFailure { LogFailure.damaged("a subscription cannot be read") }
}

package import ConnectorKit
import GRDB

/// How long the log keeps what every sink has.
package struct LogRetention: Sendable, Equatable {
    /// Batches older than this may go; nil for no limit.
    package var age: Duration?
    /// The oldest batches may go while the database holds more bytes than this; nil for no limit.
    package var byteCount: Int?
    /// True when batches may go that a sink has not got.
    package var dropsUndelivered: Bool
    /// Nothing is appended while the log takes more bytes than this; nil for no limit. Before that, the oldest batches
    /// may go, whatever their age is.
    package var limit: Int?
    /// How many bytes of the disk are kept for upkeep, for when it is full; 0 for none.
    package var reserve: Int

    /// Limits; none at all keeps everything.
    package init(
        age: Duration? = nil, byteCount: Int? = nil, dropsUndelivered: Bool = false, limit: Int? = nil,
        reserve: Int = 0
    ) {
        self.age = age
        self.byteCount = byteCount
        self.dropsUndelivered = dropsUndelivered
        self.limit = limit
        self.reserve = reserve
    }
}

extension LogRetention {
    /// How much below its limit the log is when room is made, at most; removing goes on to twice as much below it, so
    /// that it is not done for each batch.
    private static let marginMax = 64 << 20

    private func margin(below limit: Int) -> Int { min(Self.marginMax, limit / 8) }

    /// How many bytes the log takes when room is to be made for what comes; nil without a limit.
    var fillingAt: Int? { limit.map { $0 - margin(below: $0) } }
    /// How many bytes the log takes when that is enough; nil without a limit.
    var roomyAt: Int? { limit.map { $0 - 2 * margin(below: $0) } }
}

/// What one step of retention did.
package struct RetentionStep: Sendable, Equatable {
    /// How many batches were removed.
    package var batchCount = 0
    /// How many changes they held.
    package var changeCount = 0
    /// How many bytes they took.
    package var byteCount = 0
    /// The oldest offset that is still there; nil for a log without batches.
    package var firstOffset: UInt64?
    /// True when more is due: call again, after letting others have the log.
    package var isUnfinished = false
    /// The sink whose cursor keeps due batches in the log, or `subscription NAME`; nil when none does.
    package var heldBy: String?
    /// Which of the removed offsets lay behind the cursor of a sink; only where retention may remove such.
    package var passedSinks: [String: Range<UInt64>] = [:]
    /// The same of subscriptions, and of what waits for them to be given out again.
    package var passedSubscriptions: [String: Range<UInt64>] = [:]
}

extension EventLog {
    /// Removes the oldest batches that are past the age or beyond the size, or any of the oldest while the log is so
    /// near its limit that capture would wait soon: in a short transaction, but never one that a sink of `activeSinks`
    /// has not delivered or a subscription is not done with, unless ``LogRetention/dropsUndelivered``. A sink without a
    /// cursor holds everything. Ages are those `at` a time.
    package func retain(
        activeSinks: [String], at now: Int64 = UTCTime.now()
    ) throws(ConnectorFailure) -> RetentionStep {
        restoreReserve()
        try lookWhetherFilling()
        guard retention.age != nil || retention.byteCount != nil || isFilling else { return RetentionStep() }
        var retention = retention
        if isFilling, let roomy = retention.roomyAt {
            retention.byteCount = min(retention.byteCount ?? roomy, roomy)
        }
        // On a full disk, a step has to do with little of the write-ahead log.
        let batchesMax = reserve.isSpent ? RetentionScan.fewBatches : RetentionScan.batchesMax
        let limits = retention
        let step = try read("look for batches to remove") { db in
            try RetentionScan(limits, now, activeSinks, db).step(atMost: batchesMax, db)
        }
        guard step.batchCount > 0, let first = step.keepFrom else { return step.report }
        try write("remove old batches") { db in
            try db.cachedStatement(sql: "DELETE FROM batch WHERE first_offset < ?")
                .execute(arguments: [Int64(bitPattern: first)])
        }
        try removeUnusedBodies()
        try lookWhetherFilling()
        var report = step.report
        report.firstOffset = try read("read the oldest offset") { db in try LogQueries.firstOffset(db) }
        let passed = { (cursors: [String: UInt64]) in
            cursors.filter { $0.value < first }.mapValues { max($0, step.firstOffset ?? $0)..<first }
        }
        report.passedSinks = passed(step.cursors)
        report.passedSubscriptions = passed(step.subscriptions)
        return report
    }
}

extension EventLog {
    /// The code of a failure that says that the log takes more than it may.
    package static let fullCode = "log.full"
    /// How many bytes are appended before the log's size is looked at again.
    private static let lookInterval = 4 << 20

    /// Throws `log.full` while the log takes more than it may. The size is asked for now and then only, so the log may
    /// pass its limit by a few mebibytes.
    func checkLimit(adding bytes: Int) throws(ConnectorFailure) {
        guard let limit = retention.limit else { return }
        bytesUntilLook -= bytes
        guard bytesUntilLook < 0 else { return }
        let used = try lookWhetherFilling()
        guard used <= limit else { throw LogFailure.full(used, limit) }
        let next = retention.fillingAt.map { used < $0 ? $0 : limit } ?? limit
        bytesUntilLook = min(Self.lookInterval, max(0, next - used))
    }

    /// Notes whether room is to be made below the limit; how many bytes the log takes.
    @discardableResult
    private func lookWhetherFilling() throws(ConnectorFailure) -> Int {
        guard let filling = retention.fillingAt, let roomy = retention.roomyAt else { return 0 }
        let used = try read("measure the log") { db in try LogSize.read(db).used }
        if used > filling { isFilling = true }
        if used <= roomy { isFilling = false }
        return used
    }
}

/// Finds what one step may remove.
private struct RetentionScan {
    /// Bounds of a step, so that an append never waits long for it.
    static let batchesMax = 256
    static let fewBatches = 16
    static let bytesMax = 16 << 20

    var report = RetentionStep()
    /// The first offset that stays.
    var keepFrom: UInt64?
    var batchCount: Int { report.batchCount }
    private let oldestAllowed: Int64
    private var excess: Int
    private var limit = UInt64.max
    private var slowest: String?
    /// Where the sinks are.
    private(set) var cursors: [String: UInt64] = [:]
    /// What the subscriptions need first.
    private(set) var subscriptions: [String: UInt64] = [:]
    var firstOffset: UInt64? { report.firstOffset }

    init(_ retention: LogRetention, _ now: Int64, _ sinks: [String], _ db: Database) throws {
        oldestAllowed = retention.age.map { now - $0.microseconds } ?? .min
        excess = try retention.byteCount.map { try LogSize.read(db).used - $0 } ?? 0
        for sink in sinks {
            let offset = try LogQueries.cursor(of: sink, db)?.offset ?? 0
            cursors[sink] = offset
            if offset < limit, !retention.dropsUndelivered { (limit, slowest) = (offset, sink) }
        }
        for (name, offset) in try SubscriptionQueries.needs(db) {
            subscriptions[name] = offset
            if offset < limit, !retention.dropsUndelivered { (limit, slowest) = (offset, "subscription \(name)") }
        }
    }

    /// Walks over the oldest batches until one must stay or the step is large enough.
    func step(atMost batchesMax: Int, _ db: Database) throws -> RetentionScan {
        var scan = self
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT first_offset, change_count, appended_at, length(body) + coalesce(body_length, 0)
                FROM batch ORDER BY first_offset
                """)
        while let row = try rows.next() {
            guard let first = row[0] as Int64?, let count = row[1] as Int64?, let at = row[2] as Int64?,
                let bytes = row[3] as Int?, first >= 0, count > 0
            else { throw LogFailure.damaged("the oldest batch of the log has no valid place") }
            if scan.report.firstOffset == nil { scan.report.firstOffset = UInt64(first) }
            guard at < oldestAllowed || scan.excess > 0 else { break }
            let end = UInt64(first) + UInt64(count)
            if end > limit {
                scan.report.heldBy = slowest
                break
            }
            if scan.report.batchCount >= batchesMax || scan.report.byteCount >= Self.bytesMax {
                scan.report.isUnfinished = true
                break
            }
            scan.keepFrom = end
            scan.report.batchCount += 1
            scan.report.changeCount += Int(count)
            scan.report.byteCount += bytes
            scan.excess -= bytes
        }
        return scan
    }
}

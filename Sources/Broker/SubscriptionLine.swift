internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
internal import EventLog

/// A subscription at work: its state, and what reads its events. Belongs to the desk's thread.
final class SubscriptionLine {
    let stored: StoredSubscription
    var state: SubscriptionState
    /// Looks for events, in the order of the log.
    private var scout: EventReading
    /// Reads events that are given out.
    private var courier: EventReading
    private let reader: LogReader
    /// Those who wait for something to happen.
    var sleepers: [UInt64: Task<Void, Never>] = [:]
    private var lastSleeper: UInt64 = 0
    /// How often those who wait were woken.
    private(set) var wakeCount = 0
    /// How many bytes the batch has that was looked at last.
    private(set) var lastBatchBytes = 0
    /// When progress without consumers was last stored.
    private var storedAt = ContinuousClock.now

    /// How many bytes of events are looked at in one go.
    private static let scoutBytes = 256 << 10
    /// How many bytes of events one answer has; a single event may be longer.
    private static let answerBytesMax = 1 << 20

    /// What a consumer gets.
    struct Delivery {
        var lease: SubscriptionState.Lease
        /// The event.
        var bytes: [UInt8]
    }

    init(
        _ stored: StoredSubscription, _ settings: SubscriptionSettings, _ deliveries: [StoredDelivery],
        _ origin: EventOrigin, atMost clearance: Clearance, _ reader: LogReader
    ) throws(ConnectorFailure) {
        self.stored = stored
        self.reader = reader
        state = SubscriptionState(cursor: stored.cursor, limits: settings.limits, stored: deliveries)
        let view = settings.view(atMost: clearance)
        scout = try EventReading(origin, view, from: stored.cursor)
        courier = try EventReading(origin, view, from: stored.cursor)
        for offset in state.storedBeforeCursor {
            if let event = try orderedEvent(at: offset) { state.retry(event) } else { state.forget(offset) }
        }
    }

    /// Looks at some more of the log before `end`. False when there is nothing to look at, or no room to remember it.
    func scan(before end: UInt64) throws(ConnectorFailure) -> Bool {
        guard state.next < end, state.room > 0 || state.isRestoring else { return false }
        if scout.needsBatch {
            guard let logged = try reader.read(from: scout.next) else { return false }
            lastBatchBytes = logged.batch.body.count
            try scout.take(logged)
        }
        do throws(ConnectorFailure) {
            guard let records = try scout.events(bytesMax: Self.scoutBytes) else { return true }
            state.look(at: OrderedEvent.of(records), before: scout.next)
        } catch {
            // It is met again and again: as a dead letter it holds up nothing, and everybody sees that it is there.
            guard error.code == EventReading.notEncodableCode, state.bury(scout.next) else { throw error }
            scout.move(to: scout.next + 1)
        }
        return true
    }

    /// The events of leases, as far as one answer takes them; the others are taken back.
    func deliveries(of leases: [SubscriptionState.Lease]) throws(ConnectorFailure) -> [Delivery] {
        var deliveries: [Delivery] = []
        var byteCount = 0
        for lease in leases.sorted(by: { $0.offset < $1.offset }) {
            if byteCount >= Self.answerBytesMax { break }
            do throws(ConnectorFailure) {
                guard let bytes = try event(at: lease.offset) else { continue }
                byteCount += bytes.count
                deliveries.append(Delivery(lease: lease, bytes: bytes))
            } catch {
                // What can be given out is; the failure comes when nothing else does.
                if !deliveries.isEmpty { break }
                state.withdraw(leases)
                throw error
            }
        }
        let given = Set(deliveries.map(\.lease))
        state.withdraw(leases.filter { !given.contains($0) })
        return deliveries
    }

    private func event(at offset: UInt64) throws(ConnectorFailure) -> [UInt8]? {
        guard let records = try records(at: offset),
            let record = records.records.first(where: { $0.offset == offset })
        else { return nil }
        var output = OutputBuffer(capacity: Int(record.payload.length))
        output.appendEvent(of: record, records)
        return output.list
    }

    /// What the order of an event depends on, which is in the log still.
    func orderedEvent(at offset: UInt64) throws(ConnectorFailure) -> OrderedEvent? {
        guard let records = try records(at: offset),
            let record = records.records.first(where: { $0.offset == offset })
        else { return nil }
        return OrderedEvent(record, of: records)
    }

    private func records(at offset: UInt64) throws(ConnectorFailure) -> RecordBatch? {
        courier.move(to: offset)
        if courier.needsBatch {
            guard let logged = try reader.read(from: offset) else { return nil }
            try courier.take(logged)
        }
        return try courier.events(bytesMax: 0)
    }

    /// Forgets batches with more bytes; they are read again when they are needed.
    func letGo(ofMoreThan byteCount: Int) {
        if let batch = scout.batch, batch.batch.body.count > byteCount { scout.letGo() }
        if let batch = courier.batch, batch.batch.body.count > byteCount { courier.letGo() }
    }

    /// What is to be stored now. What is only a cursor that moved over events that nobody wants is so now and then.
    func changes(isEager: Bool) -> SubscriptionChanges? {
        if !isEager, !state.hasTouched {
            guard state.unstoredCount > 0 else { return nil }
            if state.unstoredCount < 1000, ContinuousClock.now - storedAt < .seconds(1) { return nil }
        }
        storedAt = .now
        return state.takeChanges()
    }

    /// Wakes everybody who waits.
    func wake() {
        wakeCount += 1
        for sleeper in sleepers.values { sleeper.cancel() }
    }

    /// The number of another sleeper.
    func nextSleeper() -> UInt64 {
        lastSleeper += 1
        return lastSleeper
    }
}

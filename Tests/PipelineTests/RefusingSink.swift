import ByteKit
import ChangeModel
import ConnectorKit
import Pipeline
import Synchronization

/// A receiver in memory that refuses some events, and the sink that gives it events one after the other.
final class Receiver: Sendable {
    /// An event that the receiver has.
    struct Entry: Sendable, Equatable {
        var identity: ChangeIdentity
        var id: String
        var table: String
        var keys: [String]
    }
    private struct State {
        var entries: [Entry] = []
        var refuses: @Sendable (Entry) -> Bool = { _ in false }
        var writeCount = 0
    }
    private let state = Mutex(State())

    var entries: [Entry] { state.withLock { $0.entries } }
    var identities: [ChangeIdentity] { entries.map(\.identity) }
    /// How many batches with records came.
    var writeCount: Int { state.withLock { $0.writeCount } }

    func countWrite() { state.withLock { $0.writeCount += 1 } }

    func refuse(_ refuses: @escaping @Sendable (Entry) -> Bool) { state.withLock { $0.refuses = refuses } }

    /// False when the event is refused.
    func take(_ entry: Entry) -> Bool {
        state.withLock { state in
            if state.refuses(entry) { return false }
            state.entries.append(entry)
            return true
        }
    }

    /// Events of a key that came before an earlier one of the same key, and events on a wrong side of a truncation.
    var misplaced: [Entry] {
        var newest: [String: ChangeIdentity] = [:]
        var newestOfTable: [String: ChangeIdentity] = [:]
        var truncated: [String: ChangeIdentity] = [:]
        return entries.filter { entry in
            let before =
                entry.keys.compactMap { newest[entry.table + "/" + $0] }
                + [entry.keys.isEmpty ? newestOfTable[entry.table] : truncated[entry.table]].compactMap { $0 }
            for key in entry.keys { newest[entry.table + "/" + key] = entry.identity }
            newestOfTable[entry.table] = max(newestOfTable[entry.table] ?? entry.identity, entry.identity)
            if entry.keys.isEmpty { truncated[entry.table] = entry.identity }
            return before.contains { $0 >= entry.identity }
        }
    }
}

/// Gives each record to a receiver, and keeps the order of keys as every sink has to.
actor RefusingSink: EventSink {
    private let receiver: Receiver
    private var holds = KeyHolds()

    init(_ receiver: Receiver) { self.receiver = receiver }

    func open(_ context: SinkContext) async throws(ConnectorFailure) { holds.removeAll() }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        var rejected: [RejectedRecord] = []
        if !batch.records.isEmpty { receiver.countWrite() }
        for record in batch.records {
            let keys = [record.key, record.previousKey].filter { !$0.isEmpty }.map { text($0, batch) }
            let entry = Receiver.Entry(
                identity: record.identity, id: text(record.id, batch), table: batch.topics[Int(record.topic)].table,
                keys: keys)
            if holds.holds(record, of: batch) {
                rejected.append(.behind(record))
            } else if !receiver.take(entry) {
                rejected.append(RejectedRecord(offset: record.offset, code: "test.refused", message: "refused"))
            } else {
                continue
            }
            holds.insert(record, of: batch)
        }
        holds.removeAll()
        return .durable(before: batch.nextOffset, rejected: rejected)
    }

    func close() async {}

    private func text(_ range: ByteRange, _ batch: RecordBatch) -> String {
        String(validatingUTF8: batch.bytes(range)) ?? ""
    }
}

/// A sink that keeps what it is given until somebody wants all of it, as one does whose receiver is slow.
actor SlowSink: EventSink {
    private let inner: RefusingSink
    private var waiting: [RecordBatch] = []
    /// How many records are on their way.
    private(set) var waitingCount = 0
    nonisolated var deliversByItself: Bool { true }

    init(_ receiver: Receiver) { inner = RefusingSink(receiver) }

    func open(_ context: SinkContext) async throws(ConnectorFailure) {
        waiting = []
        waitingCount = 0
    }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        waiting.append(batch)
        waitingCount += batch.records.count
        guard durability == .required else { return .accepted }
        var rejected: [RejectedRecord] = []
        for batch in waiting { rejected += try await inner.write(batch, .required).rejected }
        waiting = []
        waitingCount = 0
        return .durable(before: batch.nextOffset, rejected: rejected)
    }

    func close() async {}
}

/// A sink that delivers by itself, as soon as its receiver `isOpen`, and has room for so many records until then.
actor WindowSink: EventSink {
    private let inner: RefusingSink
    private let recordsMax: Int
    private let isOpen: @Sendable () -> Bool
    private var waiting: [RecordBatch] = []
    /// The offset behind what it was given.
    private(set) var taken: UInt64 = 0
    /// How often it was asked in vain how far it is.
    private(set) var askedCount = 0
    nonisolated var deliversByItself: Bool { true }

    init(_ receiver: Receiver, recordsMax: Int = .max, isOpen: @escaping @Sendable () -> Bool) {
        inner = RefusingSink(receiver)
        (self.recordsMax, self.isOpen) = (recordsMax, isOpen)
    }

    func open(_ context: SinkContext) async throws(ConnectorFailure) {
        waiting = []
        taken = context.nextOffset
    }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        waiting.append(batch)
        taken = batch.nextOffset
        while !isOpen() {
            // As long as it has nothing to say, it does not take the processor from others.
            await StopSignal().wait(upTo: .milliseconds(2))
            if Task.isCancelled { throw failure("interrupted", .retry) }
            if durability == .required { continue }
            if batch.records.isEmpty { askedCount += 1 }
            var receipt = DeliveryReceipt.accepted
            receipt.isFull = waiting.reduce(0) { $0 + $1.records.count } >= recordsMax
            return receipt
        }
        var rejected: [RejectedRecord] = []
        for batch in waiting { rejected += try await inner.write(batch, .required).rejected }
        waiting = []
        return .durable(before: taken, rejected: rejected)
    }

    func close() async {}
}

/// A sink that says that its receiver is away, and waits for it as long as it is let.
actor StubbornSink: EventSink {
    private var context: SinkContext?
    nonisolated var deliversByItself: Bool { true }

    func open(_ context: SinkContext) async throws(ConnectorFailure) {
        self.context = context
        context.report(failure("stubborn", .retry), nil)
    }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        while durability == .required, !batch.records.isEmpty, !Task.isCancelled {
            await StopSignal().wait(upTo: .milliseconds(2))
        }
        if Task.isCancelled { throw failure("interrupted", .retry) }
        return .durable(before: batch.nextOffset)
    }

    func close() async {}
}

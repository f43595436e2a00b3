package import ConnectorKit
private import Synchronization

/// A sink and its storage, as a connector's test hands them to ``SinkConformance``. Each rule wants one of its own,
/// empty.
package struct SinkUnderTest: Sendable {
    /// How often a record is stored that is delivered again.
    package enum Promise: Sendable {
        /// Once.
        case exactlyOnce
        /// Once or more.
        case atLeastOnce
    }

    /// What the sink promises.
    package var promise: Promise
    /// A new sink object, not yet open, on the same storage each time.
    package var makeSink: @Sendable () async throws -> any EventSink
    /// Everything that is stored now: payloads in the order of storing, by ``SampleRecords/topicName(_:)``. Called
    /// while no sink is open.
    package var stored: @Sendable () async throws -> [String: [[UInt8]]]
    /// How long any one call may take.
    package var patience: Duration

    /// A sink under test of its parts.
    package init(
        promise: Promise, patience: Duration = .seconds(30),
        makeSink: @escaping @Sendable () async throws -> any EventSink,
        stored: @escaping @Sendable () async throws -> [String: [[UInt8]]]
    ) {
        self.promise = promise
        self.patience = patience
        self.makeSink = makeSink
        self.stored = stored
    }
}

/// Delivers samples to a sink as the pipeline does: it keeps the durable offset and state over crashes.
final class SinkDelivery: Sendable {
    private let subject: SinkUnderTest
    private let state = Mutex(State())

    private struct State: Sendable {
        var sink: (any EventSink)?
        var cursor = Cursor(durable: 0, state: nil)
        /// The state that the sink stored last by itself.
        var saved: [UInt8]?
    }

    /// What the pipeline would find on its disk after a crash.
    struct Cursor: Sendable {
        var durable: UInt64
        var state: [UInt8]?
        /// How often the sink had stored a state by itself.
        var saveCount = 0
    }

    init(to subject: SinkUnderTest) { self.subject = subject }

    /// What is durable by the sink's own words.
    var cursor: Cursor { state.withLock { $0.cursor } }

    /// What a crash between receipt and cursor does: everything is as before the receipt, but for a state that the sink
    /// stored by itself since, which was on the disk.
    func goBack(to earlier: Cursor) {
        state.withLock { state in
            var cursor = earlier
            if state.cursor.saveCount > earlier.saveCount { cursor.state = state.saved }
            state.cursor = cursor
        }
    }

    /// Opens the sink, a new object unless `again`, at the cursor.
    func open(again: Bool = false) async throws {
        let old = state.withLock { $0.sink }
        let sink: any EventSink
        if let old, again { sink = old } else { sink = try await subject.makeSink() }
        state.withLock { $0.sink = sink }
        let cursor = cursor
        let context = SinkContext(name: "conformance", state: cursor.state, nextOffset: cursor.durable) {
            [weak self] (saved) async throws(ConnectorFailure) in self?.save(saved)
        }
        try await within(subject.patience, "open") { try await sink.open(context) }
    }

    /// Writes the samples from the offset to the offset and keeps what the receipt says.
    @discardableResult
    func write(_ offsets: Range<UInt64>, _ durability: Durability) async throws -> DeliveryReceipt {
        let batch = RecordBatch.sample(from: offsets.lowerBound, count: offsets.count)
        guard let sink = state.withLock({ $0.sink }) else { return .accepted }
        let receipt = try await within(subject.patience, "write") { try await sink.write(batch, durability) }
        state.withLock { state in
            if let durable = receipt.durableBefore { state.cursor.durable = max(state.cursor.durable, durable) }
            if let saved = receipt.state { state.cursor.state = saved }
        }
        return receipt
    }

    /// Lets go of the sink without closing it.
    func crash() { state.withLock { $0.sink = nil } }

    /// Closes the sink and keeps the object.
    func close() async throws {
        guard let sink = state.withLock({ $0.sink }) else { return }
        try await within(subject.patience, "close") { await sink.close() }
    }

    /// Opens a new sink at the cursor and closes it, so that what a crash left is put in order, and reads what is
    /// stored.
    func storedAfterRecovery() async throws -> [String: [[UInt8]]] {
        try await open()
        try await close()
        return try await subject.stored()
    }

    private func save(_ saved: [UInt8]) {
        state.withLock { state in
            state.cursor.state = saved
            state.cursor.saveCount += 1
            state.saved = saved
        }
    }
}

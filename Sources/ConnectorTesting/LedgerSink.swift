import ByteKit
import ChangeModel
package import ConnectorKit
private import Synchronization

/// A deliberate bug of ``LedgerSink``, so that a test can prove that a rule notices it.
package enum SinkFault: String, CaseIterable, Sendable {
    /// The records of a batch of more than 50 are stored last first.
    case reversesLargeBatches
    /// The receipt of a required write that has records leaves out the last one.
    case requiredLeavesOutLast
    /// An empty required write is answered with "accepted".
    case emptyRequiredAnswersAccepted
    /// Opening leaves what was written but not durable.
    case keepsTornTail
    /// The first record after an opening with a state is dropped.
    case dropsFirstAfterReopen
    /// A crash takes the last record that was called durable.
    case losesDurableTailOnCrash
    /// `close` of a closed sink never returns.
    case secondCloseHangs
    /// A sink object opens one time only.
    case opensOnlyOnce
    /// Opening with an earlier state leaves what is durable behind it.
    case ignoresState
}

/// A sink in memory with an exact ledger. It stores once: its state says how much of the store belongs to the cursor.
///
/// Rules of ``EventSink`` that its caller breaks are recorded in ``LedgerStore/violations``.
package final class LedgerSink: EventSink {
    private let store: LedgerStore
    private let buffersAccepted: Bool
    private let keepsState: Bool
    private let failures: Set<Int>
    private let faults: Set<SinkFault>
    private let session = Mutex(Session())

    private struct Session: Sendable {
        var isOpen = false
        var isClosed = false
        var wasOpened = false
        var isBusy = false
        var dropsNext = false
        var nextOffset: UInt64 = 0
        /// Accepted records that a crash takes; with `buffersAccepted` only.
        var buffered: [LedgerEntry] = []
    }

    /// A sink that is not open. With `buffersAccepted` it holds what it only accepted in memory, else it stores at
    /// once. Without `keepsState` it stores again what comes again. Writes whose number, counted from 1 over all sinks
    /// of the store, is in `failures` fail after storing half of their records and ask for a retry.
    package init(
        on store: LedgerStore, buffersAccepted: Bool = false, keepsState: Bool = true, failures: Set<Int> = [],
        faults: Set<SinkFault> = []
    ) {
        self.store = store
        self.buffersAccepted = buffersAccepted
        self.keepsState = keepsState
        self.failures = failures
        self.faults = faults
    }

    /// Undoes what the store has behind the given state.
    package func open(_ context: SinkContext) async throws(ConnectorFailure) {
        let (wasOpen, wasOpened) = session.withLock { ($0.isOpen, $0.wasOpened) }
        if wasOpen { store.report("openedWithoutClose", "open was called on an open sink") }
        if wasOpened && faults.contains(.opensOnlyOnce) {
            throw ConnectorFailure("ledger.opened_before", .stop, "the ledger was opened before")
        }
        let state = context.state.flatMap(Self.read)
        if keepsState { try recover(to: state, nextOffset: context.nextOffset) }
        let drops = state != nil && faults.contains(.dropsFirstAfterReopen)
        session.withLock { session in
            session = Session(isOpen: true, wasOpened: true, dropsNext: drops, nextOffset: context.nextOffset)
        }
    }

    private func recover(to state: (count: Int, offset: UInt64)?, nextOffset: UInt64) throws(ConnectorFailure) {
        if let state, state.offset != nextOffset {
            store.report(
                "cursorAndStateDisagree", "the state is of offset \(state.offset), the cursor at \(nextOffset)")
        }
        let count = state?.count ?? 0
        let isThere = store.update { disk in
            if !disk.wasClosed && faults.contains(.losesDurableTailOnCrash) && disk.durable > 0 {
                disk.durable -= 1
                disk.entries.remove(at: disk.durable)
            }
            disk.wasClosed = false
            let durable = faults.contains(.ignoresState) ? disk.durable : min(count, disk.durable)
            let tail = faults.contains(.keepsTornTail) ? disk.entries[disk.durable...] : []
            disk.entries = Array(disk.entries.prefix(durable)) + tail
            disk.durable = disk.entries.count
            return count <= disk.durable || faults.contains(.losesDurableTailOnCrash)
        }
        if !isThere { throw ConnectorFailure("ledger.lost", .stop, "the store is behind its state") }
    }

    /// Stores the records.
    package func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt
    {
        try enter(batch)
        defer { session.withLock { $0.isBusy = false } }
        let call = store.update { disk in
            disk.calls += 1
            return disk.calls
        }
        let entries = entries(of: batch)
        if failures.contains(call) {
            keep(Array(entries.prefix(entries.count / 2)))
            throw ConnectorFailure("ledger.injected", .retry, "write \(call) fails on purpose")
        }
        keep(entries)
        guard durability == .required else { return .accepted }
        let count = makeDurable()
        if batch.records.isEmpty && faults.contains(.emptyRequiredAnswersAccepted) { return .accepted }
        let left = !batch.records.isEmpty && faults.contains(.requiredLeavesOutLast) ? 1 : 0
        let offset = batch.nextOffset - UInt64(left)
        return .durable(before: offset, state: keepsState ? Self.state(count - left, offset) : nil)
    }

    /// Lets go of what was only accepted.
    package func close() async {
        let hangs = session.withLock { session in
            session.buffered = []
            defer { (session.isOpen, session.isClosed) = (false, true) }
            return session.isClosed && faults.contains(.secondCloseHangs)
        }
        store.update { $0.wasClosed = true }
        while hangs && !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
    }

    private func enter(_ batch: RecordBatch) throws(ConnectorFailure) {
        let (isOpen, isBusy, next) = session.withLock { session in
            defer { (session.isBusy, session.nextOffset) = (true, batch.nextOffset) }
            return (session.isOpen, session.isBusy, session.nextOffset)
        }
        if isBusy { store.report("overlappingCalls", "write was called during another call") }
        if batch.nextOffset < next { store.report("offsetWentBack", "from \(next) to \(batch.nextOffset)") }
        if !isOpen {
            store.report("calledWhileNotOpen", "write was called on a sink that is not open")
            throw ConnectorFailure("ledger.not_open", .stop, "the ledger is not open")
        }
    }

    private func entries(of batch: RecordBatch) -> [LedgerEntry] {
        var entries = batch.records.map { record in
            LedgerEntry(
                identity: record.identity, topic: batch.topics[Int(record.topic)],
                payload: [UInt8](copying: batch.payload(of: record)))
        }
        if entries.count > 50 && faults.contains(.reversesLargeBatches) { entries.reverse() }
        let drops = session.withLock { session in
            defer { if !entries.isEmpty { session.dropsNext = false } }
            return session.dropsNext
        }
        return drops ? Array(entries.dropFirst()) : entries
    }

    private func keep(_ entries: [LedgerEntry]) {
        if buffersAccepted {
            session.withLock { $0.buffered += entries }
        } else {
            store.update { $0.entries += entries }
        }
    }

    private func makeDurable() -> Int {
        let buffered = session.withLock { session in
            defer { session.buffered = [] }
            return session.buffered
        }
        return store.update { disk in
            disk.entries += buffered
            disk.durable = disk.entries.count
            return disk.durable
        }
    }

    private static func state(_ count: Int, _ offset: UInt64) -> [UInt8] {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append(bigEndian: UInt64(count))
        buffer.append(bigEndian: offset)
        return [UInt8](copying: buffer.bytes)
    }

    private static func read(_ state: [UInt8]) -> (count: Int, offset: UInt64)? {
        var reader = ByteReader(state.rawBytes)
        guard let count = reader.bigEndian(UInt64.self), let offset = reader.bigEndian(UInt64.self) else { return nil }
        return (Int(clamping: count), offset)
    }
}

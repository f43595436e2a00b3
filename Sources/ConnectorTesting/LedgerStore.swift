package import ChangeModel
package import ConnectorKit
private import Synchronization

/// One record as a ``LedgerSink`` stored it.
package struct LedgerEntry: Sendable, Equatable {
    /// Which change it is.
    package var identity: ChangeIdentity
    /// The record's table.
    package var topic: Topic
    /// The bytes of the payload.
    package var payload: [UInt8]
}

/// The "disk" of ``LedgerSink``s: it outlives their crashes and counts what came twice.
package final class LedgerStore: Sendable {
    private let state = Mutex(State())

    struct State: Sendable {
        var entries: [LedgerEntry] = []
        /// How many of the entries were called durable.
        var durable = 0
        var wasClosed = true
        var calls = 0
        var violations: [ConformanceViolation] = []
    }

    /// A store without entries.
    package init() {}

    /// Everything that is stored, in the order of storing.
    package var entries: [LedgerEntry] { state.withLock { $0.entries } }
    /// The identities of everything stored, in the order of storing.
    package var identities: [ChangeIdentity] { entries.map(\.identity) }
    /// How many entries have an identity that an earlier entry has.
    package var repeats: Int { entries.count - Set(identities).count }
    /// Payloads by ``SampleRecords/topicName(_:)``: what ``SinkUnderTest/stored`` returns.
    package var payloads: [String: [[UInt8]]] {
        entries.reduce(into: [:]) { $0[SampleRecords.topicName($1.topic), default: []].append($1.payload) }
    }
    /// Laws that the sink's caller broke: `calledWhileNotOpen`, `openedWithoutClose`, `overlappingCalls`,
    /// `offsetWentBack` and `cursorAndStateDisagree`.
    package var violations: [ConformanceViolation] { state.withLock { $0.violations } }
    /// How many times a sink of this store was written to.
    package var writeCount: Int { state.withLock { $0.calls } }

    func update<Result: Sendable>(_ body: (inout sending State) -> sending Result) -> Result { state.withLock(body) }

    func report(_ rule: String, _ explanation: String) {
        state.withLock { $0.violations.append(ConformanceViolation(rule, explanation)) }
    }
}

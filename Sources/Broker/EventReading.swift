package import ChangeModel
package import ConnectorKit
internal import EventFormat
package import EventLog
internal import SchemaRegistry
internal import Sensitivity

/// Turns the log's batches into events for one reader, in order: cleared, chosen by table, encoded. Used by one task at
/// a time.
///
/// Whoever uses it reads the batch at ``next`` whenever ``needsBatch`` says so.
package struct EventReading {
    private let view: EventView
    private var clearing: Clearing
    private let encoder: ClearedEncoder
    private var current: ClearedBatch?
    /// True when events are read alone, and not as parts of transactions.
    private let isAside: Bool
    /// The offset of the next change to look at.
    package private(set) var next: UInt64

    /// The code of a failure that says that the change at ``next`` cannot be written as an event.
    package static let notEncodableCode = "event.not_encodable"

    /// Of how many relation versions something is remembered: readings are many, unlike sinks.
    private static let relationCountMax = 128

    /// A reading that begins at an offset.
    package init(_ origin: EventOrigin, _ view: EventView, from offset: UInt64) throws(ConnectorFailure) {
        self.view = view
        isAside = origin.debezium.lines == .event
        var debezium = origin.debezium
        if view.format == .debezium { debezium.database = origin.database() ?? "" }
        clearing = try Clearing(
            view.clearance, rules: origin.sensitivity, schemas: SchemaFolder(directory: origin.schemasDirectory),
            entryCountMax: Self.relationCountMax)
        encoder = ClearedEncoder(
            pipelineName: origin.pipelineName, sourceKind: origin.sourceKind, format: view.format,
            debezium: debezium, planCountMax: Self.relationCountMax)
        next = offset
    }

    /// Learns what the events from ``next`` on do not say by themselves; see `ClearedEncoder`. `batch` gives the batch
    /// of the log with an offset.
    package mutating func prepare(
        database: String?, batch: (UInt64) async throws(ConnectorFailure) -> LoggedBatch?
    ) async throws(ConnectorFailure) {
        let view = view
        try await encoder.prepare(
            for: next, database: database, clearing: &clearing,
            including: { view.includes(schema: $0.schema, table: $0.name) }, batch: batch)
    }

    /// True when the batch with ``next`` must be handed in before events can be had.
    package var needsBatch: Bool { current == nil }

    /// Takes the batch with ``next``.
    package mutating func take(_ logged: LoggedBatch) throws(ConnectorFailure) {
        current = try clearing.apply(to: logged)
    }

    /// Goes on at another offset.
    package mutating func move(to offset: UInt64) {
        if let logged = current?.logged, !logged.contains(offset) { current = nil }
        next = offset
    }

    /// Forgets the batch: it is asked for again when it is needed.
    package mutating func letGo() { current = nil }

    /// The batch that is being read.
    package var batch: LoggedBatch? { current?.logged }

    /// The events of the next changes, until they are longer than `bytesMax` or the batch ends; maybe none, when the
    /// changes are not wanted. Nil when a batch is needed.
    package mutating func events(bytesMax: Int) throws(ConnectorFailure) -> RecordBatch? {
        guard let cleared = current else { return nil }
        let first = cleared.logged.firstOffset
        do throws(EncodingFailure) {
            let (records, index) = try encoder.encode(
                cleared, from: Int(next - first), bytesMax: bytesMax, isAside: isAside
            ) { table in view.includes(schema: table.schema, table: table.name) }
            next = first + UInt64(index)
            if next >= cleared.logged.nextOffset { current = nil }
            return records
        } catch {
            throw ConnectorFailure(
                Self.notEncodableCode, .stop, "the event at log offset \(next) cannot be encoded: \(error.message)",
                hint: "the log may be damaged; keep a copy of it and report this with the code and the offset; "
                    + "from=\(next + 1) begins behind it")
        }
    }

    /// The operation of the change at an offset of the batch that is or was read last.
    package static func operation(at offset: UInt64, in logged: LoggedBatch) -> Operation? {
        logged.contains(offset) ? logged.batch.change(at: Int(offset - logged.firstOffset)).operation : nil
    }
}

package import ChangeModel
package import ConnectorKit
package import EventFormat
internal import EventLog

/// Turns what somebody may see of the log into events: the only way from the log to a reader.
package final class ClearedEncoder {
    private let encoder: EventEncoder

    /// An encoder for the events of a pipeline; see `EventEncoder`.
    package init(
        pipelineName: String, sourceKind: String, format: EventFormat, form: RecordForm = .line,
        debezium: DebeziumOptions = DebeziumOptions(), planCountMax: Int = 4096
    ) {
        encoder = EventEncoder(
            pipelineName: pipelineName, sourceKind: sourceKind, format: format, form: form, debezium: debezium,
            planCountMax: planCountMax)
    }

    /// What was wrong with what applications said about their transactions.
    package var contextProblems: Set<ContextProblem> { encoder.contextProblems }

    /// True when the encoder must be told where it begins; see `prepare`.
    package var countsRecords: Bool { encoder.countsRecords }
    var database: String {
        get { encoder.database }
        set { encoder.database = newValue }
    }

    /// Encodes what was set aside and is on its way again: all of it, out of the order of the log.
    package func encode(letter: ClearedBatch) throws(EncodingFailure) -> (records: RecordBatch, nextIndex: Int) {
        let logged = letter.logged
        return try encoder.encode(
            logged.batch, versions: logged.versions, firstOffset: logged.firstOffset, from: 0, bytesMax: .max,
            isAside: true, including: { _ in true })
    }

    /// Encodes changes of a batch from `index` on; see `EventEncoder`.
    package func encode(
        _ cleared: ClearedBatch, from index: Int, upTo end: Int = .max, bytesMax: Int, isAside: Bool = false,
        including: (Relation) -> Bool
    ) throws(EncodingFailure) -> (records: RecordBatch, nextIndex: Int) {
        let logged = cleared.logged
        return try encoder.encode(
            logged.batch, versions: logged.versions, firstOffset: logged.firstOffset, from: index, upTo: end,
            bytesMax: bytesMax, isAside: isAside, including: including)
    }
}

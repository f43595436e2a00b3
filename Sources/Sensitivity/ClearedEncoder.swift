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
        debezium: DebeziumOptions = DebeziumOptions()
    ) {
        encoder = EventEncoder(
            pipelineName: pipelineName, sourceKind: sourceKind, format: format, form: form, debezium: debezium)
    }

    /// What was wrong with what applications said about their transactions.
    package var contextProblems: Set<ContextProblem> { encoder.contextProblems }

    /// Encodes changes of a batch from `index` on; see `EventEncoder`.
    package func encode(
        _ cleared: ClearedBatch, from index: Int, bytesMax: Int, including: (Relation) -> Bool
    ) throws(EncodingFailure) -> (records: RecordBatch, nextIndex: Int) {
        let logged = cleared.logged
        return try encoder.encode(
            logged.batch, versions: logged.versions, firstOffset: logged.firstOffset, from: index, bytesMax: bytesMax,
            including: including)
    }
}

import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import EventLog
import Foundation
import SchemaRegistry
import Sensitivity

/// A schema folder that is gone after the test.
final class SampleSchemas: Sendable {
    let path: String
    var folder: SchemaFolder { SchemaFolder(directory: path) }

    init() { path = FileManager.default.temporaryDirectory.path + "/millrace-classes-\(UUID().uuidString)" }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a version that gives columns these classes.
    func write(_ subject: String, _ version: Int, _ classes: [String: String]) throws {
        let folder = path + "/" + subject
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let properties = classes.sorted { $0.key < $1.key }.map {
            "\"\($0.key)\": {\"x-sensitivity\": \"\($0.value)\"}"
        }
        try "{\"properties\": {\(properties.joined(separator: ", "))}}"
            .write(toFile: folder + "/v\(version).schema.json", atomically: true, encoding: .utf8)
    }
}

/// A table with these columns, of which the first is the key.
func relation(_ name: String, _ columns: String..., outbox: OutboxRoute? = nil) -> Relation {
    Relation(
        sourceID: 7, schema: "public", name: name,
        columns: columns.enumerated().map {
            Column(name: $1, type: .text, typeName: "text", typeID: 25, keyPosition: $0 == 0 ? 0 : nil)
        }, outbox: outbox)
}

/// A change of a sample batch: the relation's index, and the values of the row.
struct SampleChange {
    var operation = Operation.insert
    var relation = 0
    var before: [String?]?
    var after: [String?]?
}

/// A batch of one transaction with a context, as the log has it.
func logged(_ changes: [SampleChange], _ versions: [RelationVersion], relations: [Relation]? = nil) throws
    -> LoggedBatch
{
    var builder = ChangeBatchBuilder(capacity: 1024)
    let context = ByteBuffer(#"{"tenant": "t"}"#)
    let range = builder.append(context: context.buffer.bytes)
    let transaction = builder.begin(TransactionInfo(commit: 16, id: 1, committedAt: 0, context: range))
    let indices = (relations ?? versions.map(\.relation)).map { builder.index(of: $0) }
    for (ordinal, change) in changes.enumerated() {
        let (before, after) = (tuple(change.before, &builder), tuple(change.after, &builder))
        builder.append(
            RowChange(
                operation: change.operation, relation: indices[change.relation], transaction: transaction,
                ordinal: UInt32(ordinal), beforeImage: change.before == nil ? .none : .full, before: before,
                after: after))
    }
    let batch = try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
    return LoggedBatch(firstOffset: 5, batch: batch, versions: versions)
}

/// Text as bytes that live as long as this.
private struct ByteBuffer: ~Copyable {
    var buffer: OutputBuffer

    init(_ text: String) {
        buffer = OutputBuffer(capacity: 64)
        buffer.append(utf8: text)
    }
}

/// `~` stands for a value that was not sent.
private func tuple(_ values: [String?]?, _ builder: inout ChangeBatchBuilder) -> ByteRange {
    guard let values else { return .empty }
    return builder.appendTuple(columnCount: values.count) { (output: inout OutputBuffer) in
        for value in values {
            guard let value, value != "~" else {
                output.append(value == nil ? ValueKind.null : ValueKind.unchanged)
                continue
            }
            output.append(ValueKind.text)
            output.append(bigEndian: Int32(value.utf8.count))
            output.append(utf8: value)
        }
    }
}

/// The events of what may be seen, one line each.
func lines(_ cleared: ClearedBatch, _ format: EventFormat = .cloudEvents) throws -> [String] {
    let encoder = ClearedEncoder(pipelineName: "shop", sourceKind: "sqlite", format: format)
    let part = try encoder.encode(cleared, from: 0, bytesMax: 1 << 20) { _ in true }
    return part.records.records.map { record in
        let bytes = part.records.payload(of: record)
        return String(decoding: (0..<bytes.byteCount).map { bytes.byte($0) }, as: UTF8.self)
    }
}

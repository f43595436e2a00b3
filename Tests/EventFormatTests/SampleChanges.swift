import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat

/// A value of a sample tuple.
enum SampleValue: ExpressibleByStringLiteral, ExpressibleByNilLiteral, Sendable {
    case null, unchanged
    case text(String)
    case bytes(kind: UInt8, [UInt8])

    init(stringLiteral value: String) { self = .text(value) }
    init(nilLiteral: ()) { self = .null }

    static func integer(_ text: String) -> SampleValue { .bytes(kind: ValueKind.integer, Array(text.utf8)) }
    static func real(_ text: String) -> SampleValue { .bytes(kind: ValueKind.real, Array(text.utf8)) }
    static func blob(_ bytes: [UInt8]) -> SampleValue { .bytes(kind: ValueKind.binary, bytes) }
    static func malformed(_ bytes: [UInt8]) -> SampleValue { .bytes(kind: ValueKind.malformedText, bytes) }

    var encoded: [UInt8] {
        switch self {
        case .null: [ValueKind.null]
        case .unchanged: [ValueKind.unchanged]
        case .text(let text): Self.bytes(kind: ValueKind.text, Array(text.utf8)).encoded
        case .bytes(let kind, let bytes):
            [kind] + withUnsafeBytes(of: Int32(bytes.count).bigEndian) { Array($0) } + bytes
        }
    }
}

func tuple(_ values: [SampleValue]) -> [UInt8] {
    withUnsafeBytes(of: UInt16(values.count).bigEndian) { Array($0) } + values.flatMap(\.encoded)
}

/// A change to be encoded: tuples as bytes, so that damaged ones can be made too.
struct SampleChange {
    var operation: Operation
    var beforeImage = BeforeImage.none
    var before: [UInt8] = []
    var after: [UInt8] = []

    static func insert(_ after: [SampleValue]) -> SampleChange { SampleChange(operation: .insert, after: tuple(after)) }
    static func snapshot(_ after: [SampleValue]) -> SampleChange {
        SampleChange(operation: .snapshot, after: tuple(after))
    }
    static func update(
        _ image: BeforeImage = .none, from before: [SampleValue] = [], to after: [SampleValue]
    ) -> SampleChange {
        SampleChange(
            operation: .update, beforeImage: image, before: image == .none ? [] : tuple(before), after: tuple(after))
    }
    static func delete(_ image: BeforeImage, _ before: [SampleValue]) -> SampleChange {
        SampleChange(operation: .delete, beforeImage: image, before: tuple(before))
    }
    static let truncate = SampleChange(operation: .truncate)
    static func message(_ prefix: SampleValue, _ content: SampleValue) -> SampleChange {
        SampleChange(operation: .message, after: tuple([prefix, content]))
    }
    /// The begin or the end of transaction 771.
    static func boundary(
        _ operation: Operation, changes: SampleValue = nil, events: SampleValue = nil, tables: SampleValue = nil
    ) -> SampleChange {
        SampleChange(operation: operation, after: tuple(["771", changes, events, tables]))
    }
}

let commitTime: Int64 = 1_795_255_200_123_456  // 2026-11-21 10:00:00.123456 UTC

/// A sealed batch with one transaction that holds `changes` of `relation`.
func batch(
    _ changes: [SampleChange], of relation: Relation, commit: UInt64 = 0x16B_3748, transactionID: UInt64 = 771,
    committedAt: Int64 = commitTime, firstOrdinal: UInt32 = 10, context: String = ""
) throws -> ChangeBatch {
    var builder = ChangeBatchBuilder(capacity: 4096)
    let index = builder.index(of: relation)
    let said = builder.append(context: Array(context.utf8).rawBytes)
    let transaction = builder.begin(
        TransactionInfo(commit: commit, id: transactionID, committedAt: committedAt, context: said))
    for (number, change) in changes.enumerated() {
        let before = change.before.isEmpty ? ByteRange.empty : builder.append(tuple: change.before.rawBytes)
        let after = change.after.isEmpty ? ByteRange.empty : builder.append(tuple: change.after.rawBytes)
        builder.append(
            RowChange(
                operation: change.operation, relation: index, transaction: transaction,
                ordinal: firstOrdinal + UInt32(number), beforeImage: change.beforeImage, before: before, after: after))
    }
    return try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
}

extension RecordBatch {
    /// The events as text, one a record.
    var lines: [String] { records.map { text(of: $0.payload) } }
    /// The keys as text, one a record.
    var keys: [String] { records.map { text(of: $0.key) } }

    private func text(of range: ByteRange) -> String { String(validatingUTF8: bytes(range)) ?? "not UTF-8" }
}

func version(_ relation: Relation, subject: String? = nil, version: Int = 3) -> RelationVersion {
    RelationVersion(id: 1, relation: relation, subject: subject ?? "shop." + relation.qualifiedName, version: version)
}

/// Encodes `changes` of `relation` by an encoder of its own.
func encode(
    _ changes: [SampleChange], of relation: Relation, format: EventFormat = .cloudEvents, source: String = "postgres",
    form: RecordForm = .line, transactionID: UInt64 = 771, pipeline: String = "shop", firstOrdinal: UInt32 = 10,
    context: String = "", debezium: DebeziumOptions = DebeziumOptions()
) throws -> RecordBatch {
    let encoder = EventEncoder(
        pipelineName: pipeline, sourceKind: source, format: format, form: form, debezium: debezium)
    let batch = try batch(
        changes, of: relation, transactionID: transactionID, firstOrdinal: firstOrdinal, context: context)
    return try encoder.encode(
        batch, versions: [version(relation)], firstOffset: 100, from: 0, bytesMax: .max, including: { _ in true }
    ).records
}

func column(_ name: String, _ type: ValueType = .text, key: Int? = nil) -> Column {
    Column(name: name, type: type, typeName: type.rawValue, keyPosition: key)
}

let orders = Relation(
    sourceID: 1, schema: "public", name: "orders",
    columns: [column("id", .int64, key: 0), column("status"), column("note")])

let messages = Relation(
    sourceID: 0, schema: "pg_logical", name: "message", columns: [column("prefix", key: 0), column("content")])

let transactions = Relation(
    sourceID: 0, schema: "pg_logical", name: "transaction",
    columns: [
        column("id", key: 0), column("changes", .int64), column("events", .int64),
        Column(name: "tables", type: .json, typeName: "json", shape: .json),
    ])

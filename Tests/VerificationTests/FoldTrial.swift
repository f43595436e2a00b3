import ByteKit
import ChangeModel
import ConnectorKit
import Foundation
import Testing

@testable import Verification

/// Stands for a value that was not sent because it did not change.
let unchangedValue: String? = "\u{0}unchanged"

/// A change of a table, its values as text.
enum SampleChange {
    case insert([String?])
    case update([String?], before: [String?] = [], BeforeImage = .none)
    case delete([String?], BeforeImage = .key)
    case truncate
}

/// A relation with text columns.
func sampleRelation(columns: [String], key: [String] = ["id"], types: [String: UInt32] = [:]) -> Relation {
    Relation(
        sourceID: 7, schema: "public", name: "orders",
        columns: columns.map { name in
            Column(
                name: name, type: .text, typeName: "text", typeID: types[name] ?? 25,
                keyPosition: key.firstIndex(of: name))
        })
}

/// A fold of one table, in a folder of its own.
final class FoldTrial {
    let folder: URL
    let fold: TableFold
    private let store: FoldStore
    private let relation: Relation
    private let coverage: RowCoverage
    private var offset: UInt64

    init(key: [String] = ["id"], coverage: RowCoverage? = .all, logBegins: UInt64 = 0) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("verify-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        store = try FoldStore(directory: folder.path)
        fold = try TableFold(store)
        relation = sampleRelation(columns: ["id", "name", "note"], key: key)
        self.coverage = coverage ?? .changed(why: "the log begins at offset \(logBegins)")
        offset = logBegins
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Folds changes that were made under a relation.
    func fold(_ changes: [SampleChange], under other: Relation? = nil) throws {
        let relation = other ?? relation
        let batch = try batch(changes, relation)
        for index in 0..<batch.changeCount {
            try fold.adopt(relation, version: nil)
            try fold.apply(batch.change(at: index), of: batch, place: offset)
            offset += 1
        }
    }

    /// Compares with the rows of the table.
    func compare(
        _ rows: [[String?]], as other: Relation? = nil, coverage: RowCoverage? = nil
    ) throws -> TableReport {
        let relation = other ?? relation
        try fold.adopt(relation, version: nil)
        let comparison = TableComparison(
            fold, RowShape(relation, version: nil), coverage ?? self.coverage, keeping: 10)
        try comparison.take(try batch(rows.map { .insert($0) }, relation))
        return try comparison.finish()
    }

    private func batch(_ changes: [SampleChange], _ relation: Relation) throws -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: 1024)
        let place = builder.index(of: relation)
        let transaction = builder.begin(TransactionInfo(commit: 1, id: 1, committedAt: 0))
        for (ordinal, change) in changes.enumerated() {
            var row = RowChange(
                operation: .truncate, relation: place, transaction: transaction, ordinal: UInt32(ordinal))
            switch change {
            case .truncate: break
            case .insert(let values):
                row = RowChange(
                    operation: .insert, relation: place, transaction: transaction, ordinal: UInt32(ordinal),
                    after: Self.append(values, &builder))
            case .update(let values, let before, let image):
                let old = image == .none ? ByteRange.empty : Self.append(before, &builder)
                row = RowChange(
                    operation: .update, relation: place, transaction: transaction, ordinal: UInt32(ordinal),
                    beforeImage: image, before: old, after: Self.append(values, &builder))
            case .delete(let values, let image):
                row = RowChange(
                    operation: .delete, relation: place, transaction: transaction, ordinal: UInt32(ordinal),
                    beforeImage: image, before: Self.append(values, &builder))
            }
            builder.append(row)
        }
        return try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
    }

    private static func append(_ values: [String?], _ builder: inout ChangeBatchBuilder) -> ByteRange {
        builder.appendTuple(columnCount: values.count) { buffer in
            for value in values {
                guard let value else {
                    buffer.append(ValueKind.null)
                    continue
                }
                if value == unchangedValue {
                    buffer.append(ValueKind.unchanged)
                    continue
                }
                buffer.append(ValueKind.text)
                buffer.append(bigEndian: Int32(value.utf8.count))
                buffer.append(utf8: value)
            }
        }
    }
}

import ByteKit
import ChangeModel
import ConnectorKit
import EventLog
import Foundation
import Glibc
import Testing

/// A folder of a test's own, removed when the test ends.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/millrace-log-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var log: String { path + "/log" }
    var database: String { log + "/log.sqlite" }
}

let orders = Relation(
    sourceID: 7, schema: "public", name: "orders",
    columns: [
        Column(name: "id", type: .int64, typeName: "bigint", typeID: 20, keyPosition: 0, isNullable: false),
        Column(name: "note", type: .text, typeName: "text", typeID: 25),
    ])

/// A batch of `rows` inserts in one commit, whose notes are `note` and the row's number.
func sampleBatch(
    commit: UInt64, rows: Int = 3, firstOrdinal: UInt32 = 0, note: String = "note", committedAt: Int64 = 0,
    relation: Relation = orders, mustBeDurable: Bool = false
) throws -> ChangeBatch {
    var builder = ChangeBatchBuilder(capacity: 256)
    let index = builder.index(of: relation)
    let transaction = builder.begin(TransactionInfo(commit: commit, id: commit, committedAt: committedAt))
    for row in 0..<rows {
        let tuple = builder.appendTuple(columnCount: 1) { output in
            let text = Array("\(note) \(commit)/\(row)".utf8)
            output.append(ValueKind.text)
            output.append(bigEndian: Int32(text.count))
            output.append(text)
        }
        builder.append(
            RowChange(
                operation: .insert, relation: index, transaction: transaction,
                ordinal: firstOrdinal + UInt32(row), after: tuple))
    }
    let last = rows > 0 ? ChangeIdentity(commit: commit, ordinal: firstOrdinal + UInt32(rows - 1)) : nil
    return try builder.seal(
        checkpoint: SourceCheckpoint(last: last, resume: ResumePosition(commit), notes: [UInt8(commit & 0xFF)]),
        mustBeDurableBeforeDelivery: mustBeDurable)
}

extension EventLog {
    /// Registers the usual relation and appends a batch of it.
    @discardableResult
    func appendOrders(_ batch: ChangeBatch) throws(ConnectorFailure) -> LoggedBatch {
        let version = try register(orders, subject: "shop.public.orders", version: 1)
        return try append(batch, versions: batch.relations.map { _ in version })
    }
}

/// The code of the failure that `body` throws; nil when it throws none.
func failureCode(_ body: () async throws -> Void) async -> String? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ConnectorFailure)?.code ?? "\(error)"
    }
}

/// All identities in the log, in order of their offsets, which must have no gap.
func identities(_ reader: LogReader, from first: UInt64 = 0) throws -> [ChangeIdentity] {
    var found: [ChangeIdentity] = []
    var offset = first
    while let logged = try reader.read(from: offset) {
        #expect(logged.firstOffset == offset)
        found += (0..<logged.batch.changeCount).map { logged.batch.identity(at: $0) }
        offset = logged.nextOffset
    }
    return found
}

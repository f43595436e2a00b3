import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import EventLog
import Foundation
import Sensitivity

@testable import Broker

/// A log in a folder of its own with what reads it, as a program has it.
final class LogUnderTest: Sendable {
    let log: EventLog
    let feed = LogFeed(nextOffset: 0, bytesMax: 1)
    private let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/millrace-broker-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        log = try EventLog(directory: path + "/log")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var origin: EventOrigin {
        EventOrigin(
            pipelineName: "shop", sourceKind: "postgres", sensitivity: SensitivityRules(),
            schemasDirectory: path + "/schemas")
    }

    /// A desk of subscriptions whose consumers see everything.
    func subscriptions(countMax: Int = 10, room: StreamRoom = StreamRoom()) -> SubscriptionDesk {
        SubscriptionDesk(
            origin, log, clearance: .everything, countMax: countMax, patience: .zero, room: room,
            feed: { [feed] in feed })
    }

    /// A desk of streams. `reading` is called where the log is opened or asked for its source.
    func events(
        _ limits: EventDesk.Limits = .init(), room: StreamRoom = StreamRoom(),
        reading: @escaping @Sendable () -> Void = {}
    ) -> EventDesk {
        var origin = origin
        origin.database = {
            reading()
            return "shop"
        }
        return EventDesk(
            origin, limits: limits, room: room, feed: { [feed] in feed },
            makeReader: { [log] () throws(ConnectorFailure) in
                reading()
                return try log.makeReader()
            })
    }

    /// Commits rows: one for each id, of which the first column says it and the second has so many bytes.
    func commit(
        _ commit: UInt64, table: String = "orders", ids: [Int], noteBytes: Int = 10, breaking: Set<Int> = []
    ) async throws {
        let relation = Relation(
            sourceID: UInt32(table.utf8.first ?? 0), schema: "public", name: table,
            columns: [
                Column(name: "id", type: .int64, typeName: "bigint", typeID: 20, keyPosition: 0, isNullable: false),
                Column(name: "note", type: .text, typeName: "text", typeID: 25),
            ])
        var builder = ChangeBatchBuilder(capacity: 256)
        let index = builder.index(of: relation)
        let transaction = builder.begin(TransactionInfo(commit: commit, id: commit, committedAt: 0))
        for (ordinal, id) in ids.enumerated() {
            let values = [Array("\(id)".utf8), [UInt8](repeating: 0x61, count: noteBytes)]
            // A row with fewer columns than its relation has no form in which it could be told.
            let tuple = builder.appendTuple(columnCount: breaking.contains(id) ? 1 : 2) { output in
                for value in values.prefix(breaking.contains(id) ? 1 : 2) {
                    output.append(ValueKind.text)
                    output.append(bigEndian: Int32(value.count))
                    output.append(value)
                }
            }
            builder.append(
                RowChange(
                    operation: .insert, relation: index, transaction: transaction, ordinal: UInt32(ordinal),
                    after: tuple))
        }
        let last = ChangeIdentity(commit: commit, ordinal: UInt32(max(0, ids.count - 1)))
        let batch = try builder.seal(
            checkpoint: SourceCheckpoint(last: last, resume: ResumePosition(commit), notes: []))
        let version = try await log.register(relation, subject: "shop.public.\(table)", version: 1)
        feed.publish(try await log.append(batch, versions: [version]))
    }
}

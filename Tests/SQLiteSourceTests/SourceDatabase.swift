import ByteKit
import ChangeModel
import ConnectorKit
import Foundation
import Synchronization
import Testing

@testable import SQLiteSource

/// A database file in a folder of its own, with a connection that plays the application.
final class SourceDatabase {
    let folder: String
    let path: String
    private(set) var writer: SQLiteConnection

    init(journal: String = "wal", _ sql: String...) throws {
        folder = NSTemporaryDirectory() + "millrace-sqlite-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        path = folder + "/app.db"
        try #require(FileManager.default.createFile(atPath: path, contents: nil))
        writer = try SQLiteConnection(path: path)
        writer.setBusyTimeout(milliseconds: 10_000)
        try writer.execute("PRAGMA journal_mode = \(journal)")
        try writer.execute("PRAGMA synchronous = OFF")
        for statement in sql { try writer.execute(statement) }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func run(_ statements: String...) throws {
        for sql in statements { try writer.execute(sql) }
    }

    func reconnect() throws {
        writer = try SQLiteConnection(path: path)
        writer.setBusyTimeout(milliseconds: 10_000)
    }

    func settings(_ tables: [String] = ["*"], snapshot: Bool = false) -> SQLiteSettings {
        SQLiteSettings(path: path, tables: tables, takesSnapshot: snapshot, pollInterval: .milliseconds(5))
    }

    /// Opens a session that begins after `checkpoint`.
    func open(
        _ tables: [String] = ["*"], snapshot: Bool = false, after checkpoint: SourceCheckpoint? = nil,
        notices: Notices = Notices()
    ) throws -> CaptureSession {
        try CaptureSession.open(settings(tables, snapshot: snapshot), resumingAfter: checkpoint, of: nil) {
            notices.add($0)
        }
    }

    /// The rows of a table, as text that tells every value and type apart.
    func rows(_ table: String) throws -> [String] {
        let statement = try writer.prepare("SELECT * FROM \(SQLText.identifier(table))")
        var result: [String] = []
        while try statement.step() {
            result.append(describe((0..<Int32(statement.columnCount)).map { statement.value($0) }))
        }
        return result.sorted()
    }
}

/// Sentences for the operator.
final class Notices: Sendable {
    private let lines = Mutex<[String]>([])

    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

/// A change taken out of a batch.
struct Event: Equatable {
    var operation: ChangeModel.Operation
    var relation: Relation
    var identity: ChangeIdentity
    var committedAt: Int64
    var before: [SQLiteValue]?
    var after: [SQLiteValue]?

    var table: String { relation.name }

    /// `insert t 1,'a'` and so on, for comparing whole histories.
    var line: String {
        switch operation {
        case .update: "update \(table) \(describe(before ?? [])) -> \(describe(after ?? []))"
        case .delete: "delete \(table) \(describe(before ?? []))"
        default: "\(operation.name) \(table) \(describe(after ?? []))"
        }
    }
}

/// All values of a row as text.
func describe(_ row: [SQLiteValue]) -> String { row.map(describe).joined(separator: ",") }

private func describe(_ value: SQLiteValue) -> String {
    switch value {
    case .null: "NULL"
    case .integer(let number): "\(number)"
    case .real(let number): "\(number)r"
    case .text(let bytes): String(validating: bytes, as: UTF8.self).map { "'\($0)'" } ?? "x'\(bytes)'"
    case .blob(let bytes): "b\(bytes)"
    }
}

/// The changes of a batch, every tuple read to its end.
func changes(of batch: ChangeBatch) throws -> [Event] {
    var result: [Event] = []
    for index in 0..<batch.changeCount {
        let change = batch.change(at: index)
        let relation = batch.relations[Int(change.relation)]
        result.append(
            Event(
                operation: change.operation, relation: relation, identity: batch.identity(at: index),
                committedAt: batch.transaction(at: Int(change.transaction)).committedAt,
                before: try values(of: change.before, in: batch, relation.columns.count),
                after: try values(of: change.after, in: batch, relation.columns.count)))
    }
    return result
}

private func values(of range: ByteRange, in batch: ChangeBatch, _ count: Int) throws -> [SQLiteValue]? {
    if range.isEmpty { return nil }
    let bytes = batch.tuple(range)
    #expect(TupleReader.length(ofTupleIn: bytes) == bytes.byteCount)
    guard var reader = TupleReader(bytes) else { throw NoValue() }
    #expect(reader.columnCount == count)
    var result: [SQLiteValue] = []
    for _ in 0..<reader.columnCount {
        guard let value = reader.next() else { throw NoValue() }
        let raw = value.bytes.withUnsafeBytes { Array($0) }
        result.append(try decode(value.kind, raw))
    }
    return result
}

private struct NoValue: Error {}

private func decode(_ kind: UInt8, _ bytes: [UInt8]) throws -> SQLiteValue {
    let text = String(decoding: bytes, as: UTF8.self)
    switch kind {
    case ValueKind.null: return .null
    case ValueKind.integer: return .integer(try #require(Int64(text)))
    case ValueKind.real:
        let number = text == "Infinity" ? Double.infinity : text == "-Infinity" ? -.infinity : Double(text)
        return .real(try #require(number))
    case ValueKind.text:
        #expect(String(validating: bytes, as: UTF8.self) != nil)
        return .text(bytes)
    case ValueKind.malformedText:
        #expect(String(validating: bytes, as: UTF8.self) == nil)
        return .text(bytes)
    case ValueKind.binary: return .blob(bytes)
    default: throw NoValue()
    }
}

extension CaptureSession {
    /// Polls until nothing is left and returns the batches.
    func drain() throws -> [ChangeBatch] {
        var batches: [ChangeBatch] = []
        var idle = 0
        while idle < 3 {
            if let batch = try poll() {
                batches.append(batch)
                idle = 0
            } else {
                idle += 1
            }
        }
        return batches
    }

    func drainEvents() throws -> [Event] { try drain().flatMap { try changes(of: $0) } }
}

/// Events folded to tables, strictly: each before image must be a row that is there, each insert one that was not.
struct StrictFold {
    private var tables: [String: [String: Int]] = [:]
    private(set) var faults: [String] = []

    mutating func apply(_ event: Event) {
        if let before = event.before {
            let row = describe(before)
            if tables[event.table]?[row, default: 0] ?? 0 > 0 {
                tables[event.table]?[row, default: 0] -= 1
            } else {
                faults.append("no such row before: \(event.line)")
            }
        }
        if let after = event.after { tables[event.table, default: [:]][describe(after), default: 0] += 1 }
    }

    func rows(_ table: String) -> [String] {
        (tables[table] ?? [:]).flatMap { Array(repeating: $0.key, count: $0.value) }.sorted()
    }
}

/// Events folded to tables by key: the last event of a key is its state.
struct KeyFold {
    private var tables: [String: [String: String]] = [:]

    mutating func apply(_ event: Event) {
        var rows = tables[event.table] ?? [:]
        if let before = event.before { rows[key(before, event)] = nil }
        if let after = event.after { rows[key(after, event)] = describe(after) }
        tables[event.table] = rows
    }

    private func key(_ row: [SQLiteValue], _ event: Event) -> String {
        describe(event.relation.keyColumns.map { row[$0] })
    }

    func rows(_ table: String) -> [String] { (tables[table] ?? [:]).values.sorted() }
}

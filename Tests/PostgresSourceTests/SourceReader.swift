import ByteKit
import ChangeModel
import ConnectorKit
import Synchronization
import Testing

@testable import PostgresSource

/// A change as tests compare it.
struct SeenChange: Equatable, CustomStringConvertible {
    var operation: Operation
    var table: String
    var before: [String?]
    var beforeImage: BeforeImage
    var after: [String?]
    var identity: ChangeIdentity
    var transaction: TransactionInfo
    var relation: Relation

    var description: String {
        "\(operation) \(table) \(before) -> \(after) \(LSN(identity.commit))+\(identity.ordinal)"
    }
    /// `insert t 1,a`: an unchanged value is `~`, NULL is `-`, malformed text is `!`.
    var line: String {
        let parts = [before, after].map { $0.map { $0 ?? "-" }.joined(separator: ",") }
        return "\(operation) \(table) " + (before.isEmpty ? "" : "\(parts[0]) -> ") + parts[1]
    }
}

extension ChangeBatch {
    var seen: [SeenChange] {
        (0..<changeCount).map { index in
            let change = change(at: index)
            let relation = relations[Int(change.relation)]
            return SeenChange(
                operation: change.operation, table: relation.qualifiedName, before: values(change.before),
                beforeImage: change.beforeImage, after: values(change.after), identity: identity(at: index),
                transaction: transaction(at: Int(change.transaction)), relation: relation)
        }
    }

    private func values(_ range: ByteRange) -> [String?] {
        if range.isEmpty { return [] }
        guard var reader = TupleReader(tuple(range)) else { return ["damaged"] }
        var values: [String?] = []
        for _ in 0..<reader.columnCount {
            guard let value = reader.next() else { return ["damaged"] }
            switch value.kind {
            case ValueKind.null: values.append(nil)
            case ValueKind.unchanged: values.append("~")
            case ValueKind.malformedText: values.append("!")
            default: values.append(String(validatingUTF8: value.bytes) ?? "not UTF-8")
            }
        }
        return values
    }
}

/// Drives a source as the pipeline does: takes batches, keeps the newest checkpoint, acknowledges when told.
final class SourceReader {
    let source: PostgresSource
    let notices = Notices()
    var checkpoint: SourceCheckpoint?
    var seen: [SeenChange] = []
    var batches: [ChangeBatch] = []
    var keepsBatches = true
    /// True to confirm what was taken, and to open the source again when the server's names are stale.
    var reopens = false

    final class Notices: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    init(
        _ database: TestDatabase, tables: [String], url: String? = nil, slot: String? = nil, publication: String? = nil,
        throughLibPQ: Bool = false, recovers: Bool = false, snapshot: String = "never",
        values more: [String: SettingValue] = [:],
        exclude: [String] = [], choices: [SettingValues] = [],
        watchesKeys: Bool = true, adjusting adjust: (inout PostgresSettings) -> Void = { _ in }
    ) throws {
        var values = SettingValues([
            "url": .text(url ?? database.url), "tables": .list(tables), "status_interval": .duration(.seconds(10)),
        ])
        values["snapshot"] = .text(snapshot)
        for (name, value) in more { values[name] = value }
        values["slot"] = .text(slot ?? database.name)
        values["publication"] = publication.map { .text($0) }
        values["exclude"] = .list(exclude)
        values["choices"] = .groups(choices)
        var settings = try PostgresSettings(values: values, pipelineName: database.name)
        settings.readsThroughLibPQ = throughLibPQ
        adjust(&settings)
        source = PostgresSource(
            settings: settings, notice: { [notices] in notices.add($0) }, recovers: recovers,
            watchesKey: { _ in watchesKeys })
    }

    @discardableResult
    func open() async throws -> SourceIdentity {
        let identity = try await source.open(resumingAfter: checkpoint, of: nil)
        source.setAside([])
        return identity
    }

    /// Takes one batch.
    func take(within limit: Duration = .milliseconds(200)) async throws {
        let batch: ChangeBatch
        do throws(ConnectorFailure) {
            batch = try await source.nextBatch(until: .now + limit)
        } catch {
            guard reopens, error.code == "postgres.stale_names" else { throw error }
            notices.add(error.message)
            await source.close()
            try await open()
            // What was taken before knows nothing of what the start found.
            return try await take(within: limit)
        }
        let newest: SourceCheckpoint = try #require(batch.checkpoint)
        checkpoint = newest
        seen += batch.seen
        if reopens { acknowledge() }
        if keepsBatches, batch.changeCount > 0 { batches.append(batch) }
    }

    /// Takes until everything that is committed now has come.
    func catchUp(limit: Duration = .seconds(60)) async throws {
        let end = try await source.endPosition()
        let deadline = ContinuousClock.now + limit
        while (checkpoint?.resume ?? ResumePosition(0)) < end {
            try #require(ContinuousClock.now < deadline, "the stream does not reach \(LSN(end.value))")
            try await take()
        }
    }

    /// Takes until no snapshot is under way and everything that is committed now has come.
    func finishSnapshot(limit: Duration = .seconds(120)) async throws {
        let deadline = ContinuousClock.now + limit
        repeat {
            try #require(ContinuousClock.now < deadline, "the snapshot does not end: \(notices.all.suffix(5))")
            try await take()
        } while checkpoint.map { !source.isComplete($0) } ?? true
        try await catchUp()
    }

    func acknowledge() {
        if let checkpoint { source.acknowledge(checkpoint.resume) }
    }

    /// The lines of what was seen since the last call.
    func lines() -> [String] {
        defer { seen = [] }
        return seen.map(\.line)
    }
}

import ChangeModel
import ConnectorKit
import EventLog
import Foundation
import Pipeline
import Synchronization

/// The power switch of a process that is simulated inside of the test: after a number of steps everything is down at
/// once.
final class CrashSwitch: Sendable {
    private let left: Mutex<Int>

    /// On for `steps` calls of ``step()``; for ever without a number.
    init(after steps: Int?) { left = Mutex(steps ?? .max) }

    /// True once nothing happens any more.
    var isDown: Bool { left.withLock { $0 <= 0 } }

    /// Counts a step; throws once the switch is off.
    func step() throws(ConnectorFailure) {
        let isDown = left.withLock { left in
            left -= 1
            return left <= 0
        }
        if isDown { throw ConnectorFailure("test.crash", .stop, "the process is gone") }
    }
}

/// A source that a crash silences: what the process did not tell it before, it never tells.
struct CrashingSource: ChangeSource {
    let inner: any ChangeSource
    let power: CrashSwitch
    /// Runs before each batch: the database goes on while it is read.
    let beforeBatch: @Sendable () -> Void

    func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity {
        try power.step()
        return try await inner.open(resumingAfter: checkpoint, of: expected)
    }

    func endPosition() async throws(ConnectorFailure) -> ResumePosition { try await inner.endPosition() }

    func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch {
        try power.step()
        beforeBatch()
        return try await inner.nextBatch(until: deadline)
    }

    func acknowledge(_ position: ResumePosition) {
        if (try? power.step()) != nil { inner.acknowledge(position) }
    }

    func close() async {
        if !power.isDown { await inner.close() }
    }
}

/// A sink that a crash silences.
struct CrashingSink: EventSink {
    let inner: any EventSink
    let power: CrashSwitch

    func open(_ context: SinkContext) async throws(ConnectorFailure) {
        try power.step()
        try await inner.open(context)
    }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        try power.step()
        let receipt = try await inner.write(batch, durability)
        try power.step()
        return receipt
    }

    func close() async {
        if !power.isDown { await inner.close() }
    }
}

/// The disk under a log: what a sync covered outlives a power cut, in a copy that is made right after the sync.
final class DurableCopy: Sendable {
    private struct State {
        var copies = 0
        var newest: String?
        var resume = ResumePosition(0)
    }
    private let folder: String
    private let state = Mutex(State())

    /// Copies are made inside of `folder`.
    init(in folder: String) { self.folder = folder }

    /// What may be acknowledged.
    var resume: ResumePosition { state.withLock(\.resume) }

    /// Copies the log's files. The database comes before its write-ahead log: nothing moves from one to the other
    /// while the log is this small and open.
    func take(from log: String, covering checkpoint: SourceCheckpoint?) throws {
        let copy = state.withLock { state in
            state.copies += 1
            return "\(folder)/durable-\(state.copies)"
        }
        try Self.copy(log, to: copy)
        state.withLock { state in
            state.newest = copy
            state.resume = checkpoint?.resume ?? state.resume
        }
    }

    /// What a start after a power cut finds, in a new folder.
    func restore(as log: String) throws {
        if let newest = state.withLock(\.newest) { try Self.copy(newest, to: log) }
    }

    private static func copy(_ source: String, to target: String) throws {
        try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
        for name in try FileManager.default.contentsOfDirectory(atPath: source)
        where ["log.sqlite", "log.sqlite-wal"].contains(name) || name.hasPrefix("bodies-") {
            try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: "\(target)/\(name)")
        }
    }
}

/// The real log, which a crash silences and whose syncs are copied.
struct CrashingLog: CaptureLog {
    let inner: EventLog
    let power: CrashSwitch
    let disk: DurableCopy

    func source() async throws(ConnectorFailure) -> SourceIdentity? { try await inner.source() }
    func bind(to identity: SourceIdentity) async throws(ConnectorFailure) { try await inner.bind(to: identity) }
    func checkpoint() async throws(ConnectorFailure) -> SourceCheckpoint? { try await inner.checkpoint() }

    func register(
        _ relation: Relation, subject: String, version: Int
    ) async throws(ConnectorFailure) -> RelationVersion {
        try await inner.register(relation, subject: subject, version: version)
    }

    func append(_ batch: ChangeBatch, versions: [RelationVersion]) async throws(ConnectorFailure) -> LoggedBatch {
        try power.step()
        let logged = try await inner.append(batch, versions: versions)
        try power.step()
        return logged
    }

    func sync() async throws(ConnectorFailure) -> SourceCheckpoint? {
        try power.step()
        let durable = try await inner.sync()
        do { try disk.take(from: inner.directory, covering: durable) } catch {
            throw ConnectorFailure("test.copy", .stop, "\(error)")
        }
        try power.step()
        return durable
    }
}

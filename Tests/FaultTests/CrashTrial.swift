import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventFormat
import EventLog
import Foundation
import Logging
import Pipeline
import ProgramTesting
import SchemaRegistry
import Synchronization

/// What is built into the pipeline on purpose. Nothing, unless a test says so.
struct Perturbation: Sendable {
    var source: @Sendable (any ChangeSource) -> any ChangeSource = { $0 }
    var log: @Sendable (any CaptureLog) -> any CaptureLog = { $0 }
    var sink: @Sendable (any EventSink) -> any EventSink = { $0 }
}

/// What a trial saw.
struct TrialResult: Sendable {
    /// The names of the laws that were broken.
    var violations: Set<String>
    /// What was seen, for the test's report.
    var explanations: [String]
    /// How many runs ended in a crash.
    var crashCount: Int
    /// How many of them lost what was not synced.
    var powerCutCount: Int
    /// How many changes were committed.
    var committedCount: Int
}

/// Runs a pipeline over a database that forgets what was acknowledged, lets it crash again and again, runs it to the
/// end, and compares exact sets. Everything but the timing follows from the seed.
struct CrashTrial {
    private let folder: TemporaryFolder
    private let database: PruningDatabase
    private let disk: DurableCopy
    private let perturbation: Perturbation
    private let stores = ["exact": LedgerStore(), "plain": LedgerStore()]
    private var random: SeededGenerator
    private let seed: UInt64
    private var session = 0
    private var logPath: String
    private var result = TrialResult(
        violations: [], explanations: [], crashCount: 0, powerCutCount: 0, committedCount: 0)

    init(seed: UInt64, _ perturbation: Perturbation = Perturbation()) throws {
        folder = try TemporaryFolder()
        let disk = DurableCopy(in: folder.url.path)
        self.disk = disk
        database = PruningDatabase(seed: seed) { disk.resume }
        self.perturbation = perturbation
        random = SeededGenerator(seed: seed)
        self.seed = seed
        logPath = folder.path("log-0")
    }

    /// Crashes after random numbers of steps, by a kill or a power cut, then runs to the end.
    mutating func run(crashes: Int = 5) async throws -> TrialResult {
        var steps: [(Int, isPowerCut: Bool)] = []
        for _ in 0..<crashes { steps.append((.random(in: 1...50, using: &random), .random(using: &random))) }
        return try await run(crashingAfter: steps)
    }

    /// Crashes after the given numbers of steps, then runs to the end.
    mutating func run(crashingAfter crashes: [(Int, isPowerCut: Bool)]) async throws -> TrialResult {
        for (steps, isPowerCut) in crashes {
            let power = CrashSwitch(after: steps)
            try await runOnce(power, isLast: false)
            guard power.isDown else { continue }
            result.crashCount += 1
            guard isPowerCut else { continue }
            result.powerCutCount += 1
            logPath = folder.path("log-\(session)")
            try disk.restore(as: logPath)
        }
        try await runOnce(CrashSwitch(after: nil), isLast: true)
        try compare()
        return result
    }

    private mutating func runOnce(_ power: CrashSwitch, isLast: Bool) async throws {
        session += 1
        database.commitRandom(transactions: 6)
        let log = try EventLog(directory: logPath)
        let logger = Logger(label: "trial") { _ in SwiftLogNoOpLogHandler() }
        let pipeline = Pipeline(parts(log, power, isLast: isLast), logger: logger)
        let code = try await within(.seconds(60), "the run") { () -> String? in
            do throws(ConnectorFailure) {
                try await pipeline.run(untilCaughtUp: true)
                return nil
            } catch {
                return error.code
            }
        }
        await log.close()
        if let code, code != "test.crash" { note("run.\(code)", "session \(session)") }
    }

    private func parts(_ log: EventLog, _ power: CrashSwitch, isLast: Bool) -> Pipeline.Parts {
        // The last run begins after the last commit: only what is committed before a run is sure to be in it.
        let more = Mutex(isLast ? 0 : 12)
        let database = database
        let source = CrashingSource(
            inner: PruningSourceModel(of: database, changesMax: 3, failures: [9, 40]), power: power,
            beforeBatch: {
                let isLeft = more.withLock { more in
                    more -= 1
                    return more >= 0 && more % 2 == 0
                }
                if isLeft { database.commitRandom(transactions: 1) }
            })
        let sinks = stores.sorted { $0.key < $1.key }.map { name, store in
            let ledger = LedgerSink(on: store, buffersAccepted: true, keepsState: name == "exact", failures: [5, 21])
            let sink = perturbation.sink(CrashingSink(inner: ledger, power: power))
            return SinkPlan(name: name, sink: sink, format: .cloudEvents, tables: [TablePattern("*")])
        }
        return Pipeline.Parts(
            name: "trial", sourceKind: "model", source: perturbation.source(source), sinks: sinks, log: log,
            captureLog: perturbation.log(CrashingLog(inner: log, power: power, disk: disk)),
            schemas: SchemaFolder(directory: folder.path("Schemas")))
    }

    private mutating func compare() throws {
        let committed = database.committed
        result.committedCount = committed.count
        for violation in database.violations { note(violation.rule, violation.explanation) }
        var logged = ChangeLedger(expected: committed)
        logged.saw(try identitiesInLog())
        for violation in logged.violations() { note("log.\(violation.rule)", violation.explanation) }
        for (name, store) in stores {
            var delivered = ChangeLedger(expected: committed)
            delivered.saw(store.identities)
            let isExact = name == "exact"
            for violation in delivered.violations(allowingRepeats: !isExact) + store.violations {
                note("\(name).\(violation.rule)", violation.explanation)
            }
        }
    }

    private func identitiesInLog() throws -> [ChangeIdentity] {
        let reader = try LogReader(directory: logPath)
        var identities: [ChangeIdentity] = []
        while let logged = try reader.read(from: UInt64(identities.count)) {
            identities += (0..<logged.batch.changeCount).map { logged.batch.identity(at: $0) }
        }
        return identities
    }

    private mutating func note(_ name: String, _ explanation: String) {
        result.violations.insert(name)
        result.explanations.append("seed \(seed), \(name): \(explanation)")
    }
}

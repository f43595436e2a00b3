import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventFormat
import EventLog
import Foundation
import Logging
import Pipeline
import SchemaRegistry
import Synchronization
import Testing

/// A folder with a real log and a real schema folder, removed when the test ends.
final class Workplace: Sendable {
    let path: String
    let log: EventLog

    init(retention: LogRetention = LogRetention()) throws {
        path = FileManager.default.temporaryDirectory.path + "/millrace-pipeline-" + UUID().uuidString
        log = try EventLog(directory: path + "/log", retention: retention)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var schemas: SchemaFolder { SchemaFolder(directory: path + "/Schemas") }

    func pipeline(
        from source: any ChangeSource, to sinks: [SinkPlan], captureLog: (any CaptureLog)? = nil,
        requests: RequestBox? = nil, acknowledgement: Acknowledgement = .logged,
        limits: DeliveryLimits = DeliveryLimits()
    ) -> Pipeline {
        var parts = Pipeline.Parts(
            name: "shop", sourceKind: "model", source: source, sinks: sinks, log: log, captureLog: captureLog,
            schemas: schemas, requests: requests, acknowledgement: acknowledgement)
        parts.deliveryLimits = limits
        return Pipeline(parts, logger: silent)
    }

    /// All identities in the log, in its order.
    func logged() throws -> [ChangeIdentity] {
        let reader = try log.makeReader()
        var identities: [ChangeIdentity] = []
        while let logged = try reader.read(from: UInt64(identities.count)) {
            identities += (0..<logged.batch.changeCount).map { logged.batch.identity(at: $0) }
        }
        return identities
    }
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func plan(_ name: String, _ sink: any EventSink, tables: [String] = ["*"]) -> SinkPlan {
    SinkPlan(name: name, sink: sink, format: .cloudEvents, tables: tables.map { TablePattern($0) })
}

func failure(_ code: String, _ remedy: Remedy) -> ConnectorFailure {
    ConnectorFailure("test.\(code)", remedy, "on purpose")
}

extension Pipeline {
    /// Runs to the end, at most 100 seconds; the code of the failure that it ends with.
    func finish(untilCaughtUp: Bool = true, patience: Duration? = nil) async throws -> String? {
        try await within(.seconds(100), "the run") { () -> String? in
            do throws(ConnectorFailure) {
                try await run(untilCaughtUp: untilCaughtUp, patience: patience)
                return nil
            } catch {
                return error.code
            }
        }
    }
}

/// Waits for progress: looks until `isThere`, at most a minute.
func eventually(_ what: String, _ isThere: () async throws -> Bool) async throws {
    let limit = ContinuousClock.now + .seconds(60)
    while try await !isThere() {
        try #require(ContinuousClock.now < limit, "\(what) never happened")
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Counts calls from any task.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .acquiring) }

    /// Adds one and returns the new number.
    @discardableResult
    func next() -> Int { count.add(1, ordering: .acquiringAndReleasing).newValue }
}

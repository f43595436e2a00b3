import ConnectorKit
import ProgramTesting
import Synchronization

@testable import NATSSink

/// Delivers numbered events to a sink as the pipeline does: after a failure that may pass it opens the sink again and
/// goes on from the cursor.
final class PatientDelivery: Sendable {
    let cursor = CursorStore()
    private let settings: NATSSettings
    private let failures = Mutex<[String]>([])

    /// How many events there are.
    let count: Int

    init(_ settings: NATSSettings, count: Int) {
        self.settings = settings
        self.count = count
    }

    /// The codes of the failures so far, in order.
    var failureCodes: [String] { failures.withLock { $0 } }
    var delivered: Int { Int(cursor.current.offset) }

    /// Delivers all events in batches. Throws what cannot pass.
    func run(inBatchesOf size: Int = 200) async throws {
        let sink = NATSSink(settings, contentType: "application/json")
        while delivered < count {
            do throws(ConnectorFailure) {
                try await sink.open(cursor.context)
                try await deliver(to: sink, size)
            } catch {
                failures.withLock { $0.append(error.code) }
                if error.remedy == .stop { throw error }
                await sink.close()
                try await pauseBeforeNextAttempt()
            }
        }
        await sink.close()
    }

    private func deliver(to sink: NATSSink, _ size: Int) async throws(ConnectorFailure) {
        var next = delivered
        var batches = 0
        while next < count {
            let end = min(next + size, count)
            batches += 1
            let isLast = end == count || batches % 8 == 0
            cursor.store(try await sink.write(numbered(next..<end, size: 200), isLast ? .required : .whenConvenient))
            next = end
        }
    }

    /// Waits until so many events are delivered.
    func waitUntil(_ count: Int) async throws { try await eventually("\(count) delivered") { delivered >= count } }

    /// Waits until a failure came that was not there before, or everything is delivered.
    func waitForFailure(after before: Int) async throws {
        try await eventually("failure") { failureCodes.count > before || delivered >= count }
    }
}

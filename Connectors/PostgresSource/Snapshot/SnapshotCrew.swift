internal import ConnectorKit
private import Synchronization

/// The workers of a session and what they share with its stream.
final class SnapshotCrew: Sendable {
    let coordinator: SnapshotCoordinator
    /// Tells the watermarks of this session from all others.
    let run: String
    private let settings: PostgresSettings
    private let timeline: UInt32
    private let wakeUps: [WakeUp]
    private let running = Mutex<Int>(0)
    private let ended = Latch()

    /// Nil when the process has no descriptors left.
    init?(
        _ notes: SourceNotes, _ plan: SnapshotPlan, _ settings: PostgresSettings, timeline: UInt32,
        readsByItself: Bool, streamWakeUp: WakeUp, notice: @escaping @Sendable (String) -> Void,
        warning: @escaping @Sendable (String) -> Void
    ) {
        var wakeUps: [WakeUp] = []
        for _ in 0..<settings.snapshotConnections {
            guard let wakeUp = WakeUp() else { return nil }
            wakeUps.append(wakeUp)
        }
        self.wakeUps = wakeUps
        self.settings = settings
        self.timeline = timeline
        run = settings.slot + "/" + String(UInt64.random(in: 0...UInt64.max), radix: 16)
        coordinator = SnapshotCoordinator(
            notes: notes.snapshot ?? SnapshotNotes(), estimates: plan.estimates, chunkBytes: settings.chunkBytes,
            readsByItself: readsByItself, workers: wakeUps, streamWakeUp: streamWakeUp, notice: notice,
            warning: warning)
        let mixed = Set(plan.mixed(notes.keys).map(\.oid))
        let renewed = plan.tables.filter {
            mixed.contains($0.oid) || notes.snapshot?.tables[$0.oid]?.stage == .pending(clears: true)
        }
        coordinator.state.withLock { state in
            state.renewed = Set(renewed.map(\.oid))
            // Until somebody says what is set aside now.
            state.setAside = Set(renewed.map(\.qualifiedName))
        }
    }

    /// Starts the workers' threads; `fail` ends the stream.
    func start(_ fail: @escaping @Sendable (ConnectorFailure) -> Void) {
        running.withLock { $0 = wakeUps.count }
        for wakeUp in wakeUps {
            let worker = SnapshotWorker(
                settings: settings, timeline: timeline, run: run, coordinator: coordinator, wakeUp: wakeUp, fail: fail)
            worker.start { [self] in
                let left = running.withLock { running in
                    running -= 1
                    return running
                }
                if left == 0 { ended.open() }
            }
        }
    }

    /// Ends the workers.
    func close() async {
        coordinator.close()
        await ended.wait()
    }
}

import ConnectorKit
import Glibc
import Pipeline
import Synchronization

/// The line at the foot of a terminal that shows what `run` is doing, renewed twice a second; nothing elsewhere.
final class ProgressDisplay: Sendable {
    private let progress: PipelineProgress
    private let hasEnded = Atomic(false)

    /// A display of these numbers that does not show yet.
    init(_ progress: PipelineProgress) { self.progress = progress }

    /// Begins to show.
    func start() {
        guard Terminal.showsProgress else { return }
        startThread(name: "progress") { [self] in
            var last = progress.snapshot
            var pace = SnapshotPace()
            while !hasEnded.load(ordering: .acquiring) {
                usleep(500_000)
                let now = progress.snapshot
                if !hasEnded.load(ordering: .acquiring) {
                    Terminal.showProgress(Self.line(now, since: last, seconds: 0.5) + pace.text(now.snapshot))
                }
                last = now
            }
        }
    }

    /// Ends the display and clears its line.
    func finish() {
        hasEnded.store(true, ordering: .releasing)
        Terminal.showProgress("")
    }

    private static func line(
        _ now: PipelineProgress.Snapshot, since last: PipelineProgress.Snapshot, seconds: Double
    ) -> String {
        let rate = Double(now.capturedCount - last.capturedCount) / seconds
        var line = "\(counted(now.capturedCount, "change")) captured, \(Int(rate))/s"
        for (sink, cursor) in now.cursors.sorted(by: { $0.key < $1.key }) {
            let lag = now.nextOffset.map { $0 > cursor ? $0 - cursor : 0 } ?? 0
            line += " · \(sink): \(lag == 0 ? "up to date" : "\(lag) behind")"
        }
        return line
    }
}

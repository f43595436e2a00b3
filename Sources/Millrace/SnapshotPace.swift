import ConnectorKit

/// How fast old rows are read, over the last seconds, and what follows from that for the rest.
struct SnapshotPace {
    private var samples: [(time: ContinuousClock.Instant, rowCount: UInt64)] = []
    private static let span = Duration.seconds(10)

    /// No rows were seen yet.
    init() {}

    /// The part of the progress line that is about old rows; empty when none are read.
    mutating func text(_ progress: SnapshotProgress?, at now: ContinuousClock.Instant = .now) -> String {
        guard let progress else {
            samples = []
            return ""
        }
        if let last = samples.last, last.rowCount > progress.rowCount { samples = [] }
        samples.append((now, progress.rowCount))
        if samples.count > 2, now - samples[0].time > Self.span { samples.removeFirst() }
        let seconds = (now - samples[0].time) / .seconds(1)
        let rate = seconds > 0 ? Double(progress.rowCount - samples[0].rowCount) / seconds : 0
        var text = " · snapshot of \(progress.table)"
        if progress.tablesLeft > 1 { text += " and \(progress.tablesLeft - 1) more" }
        let all = progress.rowCount + progress.rowsLeft
        if progress.rowsLeft > 0 {
            text += " \(Self.bar(Double(progress.rowCount) / Double(all))) \(progress.rowCount * 100 / all) %"
        }
        text += ", \(Int(rate)) rows/s"
        if rate >= 1, progress.rowsLeft > 0 { text += ", \(Elapsed.text(Int(Double(progress.rowsLeft) / rate))) left" }
        return text
    }

    private static func bar(_ share: Double) -> String {
        let width = 20
        let full = min(width, Int(share * Double(width)))
        return "[" + String(repeating: "#", count: full) + String(repeating: "-", count: width - full) + "]"
    }
}

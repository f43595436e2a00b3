internal import ChangeModel

/// Tells an idle stream from one that has stalled, as a value: samples in, verdicts out.
///
/// Idle is when the server has nothing for us: its WAL does not grow, or its walsender has worked through all of it.
/// Busy is when the walsender moves through WAL without sending anything, as it does inside of a transaction that runs
/// or is large. Stalled is when there is WAL that we have not reached, and for a long time neither has anything arrived
/// nor has the walsender moved.
struct StallWatch {
    /// What both sides say at a moment.
    struct Sample: Equatable {
        var time: ContinuousClock.Instant
        /// The end of what the server has written.
        var serverEnd: LSN
        /// Everything before it was read.
        var reached: LSN
        /// Grows with every message that arrives.
        var heard: UInt64
        /// How far the walsender is by its own account; nil when it is not there.
        var sent: LSN?
        /// True while the walsender computes or reads, as it does for minutes at the end of a huge transaction that is
        /// not for us. Connecting again would make it begin anew.
        var isBusy: Bool
        /// True while we do not read because the pipeline is full: then silence says nothing.
        var isFull: Bool
    }

    /// What is to be done.
    enum Verdict: Equatable {
        /// Nothing has moved for so long.
        case stalled(Duration)
        /// Too long: connect again.
        case givenUp(Duration)
        /// It moves again.
        case recovered
    }

    /// So little at the end of WAL may be heads of pages, which nobody is ever told of.
    static let margin: UInt64 = 16 << 10

    /// Silence of this length is announced; of twice this length, given up on.
    let patience: Duration
    private var last: Sample?
    private var stillSince: ContinuousClock.Instant?
    private var isAnnounced = false

    init(patience: Duration) { self.patience = patience }

    /// Takes a sample; gives what is to be done, mostly nothing.
    mutating func take(_ sample: Sample) -> Verdict? {
        defer { last = sample }
        let hasMoved = last.map { $0.heard != sample.heard || $0.sent != sample.sent || $0.reached != sample.reached }
        let isBehind = sample.serverEnd.value > sample.reached.value &+ Self.margin
        if hasMoved ?? true || sample.isBusy || sample.isFull || !isBehind {
            stillSince = nil
            defer { isAnnounced = false }
            return isAnnounced ? .recovered : nil
        }
        let since = stillSince ?? last?.time ?? sample.time
        stillSince = since
        let still = since.duration(to: sample.time)
        if still < patience { return nil }
        if isAnnounced { return still < patience * 2 ? nil : .givenUp(still) }
        // Announced first in any case, however late the samples come.
        isAnnounced = true
        return .stalled(still)
    }
}

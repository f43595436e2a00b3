internal import ChangeModel

/// Whether confirming really lets the server forget, as a value: `restart_lsn` must follow `confirmed_flush_lsn`.
///
/// It stays behind while a transaction runs that began before it, however much is confirmed, and WAL gathers meanwhile.
struct RestartWatch {
    /// The slot at a moment.
    struct Sample: Equatable {
        var time: ContinuousClock.Instant
        var restart: LSN
        var confirmed: LSN
        var retainedBytes: Int
    }

    /// What is to be said.
    enum Announcement: Equatable {
        /// The slot was confirmed and nothing was forgotten, for so long.
        case held(Duration, retainedBytes: Int)
        /// It moves again.
        case released
    }

    /// So long it may stand: the server writes down what it needs to move it every few seconds, and at checkpoints.
    let patience: Duration
    /// Said again after this time.
    static let repetition = Duration.seconds(1800)
    /// Less is not worth a line.
    static let retainedMin = 64 << 20

    private let retainedMin: Int
    private var start: Sample?
    private var saidAt: ContinuousClock.Instant?

    init(patience: Duration, retainedMin: Int = RestartWatch.retainedMin) {
        self.patience = patience
        self.retainedMin = retainedMin
    }

    /// Takes a sample; gives what is to be said, mostly nothing.
    mutating func take(_ sample: Sample) -> Announcement? {
        guard let start, start.restart == sample.restart else {
            start = sample
            defer { saidAt = nil }
            return saidAt == nil ? nil : .released
        }
        let still = start.time.duration(to: sample.time)
        guard sample.confirmed > start.confirmed, still >= patience, sample.retainedBytes >= retainedMin else {
            return nil
        }
        if let saidAt, saidAt + Self.repetition > sample.time { return nil }
        saidAt = sample.time
        return .held(still, retainedBytes: sample.retainedBytes)
    }
}

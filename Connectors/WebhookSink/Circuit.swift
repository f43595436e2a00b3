/// Tells an endpoint that is down from a request that fails: after so many failures in a row nothing is sent any more
/// but one request now and then, until one gets through. A value without a clock of its own.
struct Circuit {
    typealias Instant = ContinuousClock.Instant

    private enum State: Equatable {
        /// Requests go.
        case closed
        /// None goes before the instant; `isAsked` when that is what the endpoint asked for.
        case open(until: Instant, isAsked: Bool)
        /// One is on its way.
        case probing
    }

    private let failuresMax: Int
    private let pauses: RetryPauses
    private var state = State.closed
    /// Failures since the last success.
    private(set) var failureCount = 0
    /// The request that failed last.
    private var lastFailed: Int?
    /// How often another request failed than the last time, since the last success.
    private var changes = 0
    /// How often it was opened since the last success.
    private var openings = 0

    /// A closed circuit that opens after so many failures in a row.
    init(failuresMax: Int, pauses: RetryPauses) {
        self.failuresMax = max(failuresMax, 1)
        self.pauses = pauses
    }

    /// True when requests go as they come.
    var isClosed: Bool { state == .closed }

    /// When the next request may go; nil for never, until the probe that is on its way has come back.
    func opensAt(_ now: Instant) -> Instant? {
        switch state {
        case .closed: now
        case .open(let until, _): until
        case .probing: nil
        }
    }

    /// True when a request may go now.
    func admits(at now: Instant) -> Bool { opensAt(now).map { $0 <= now } ?? false }

    /// A request goes. One that goes while the circuit is open is the probe.
    mutating func sends() { if state != .closed { state = .probing } }

    /// The endpoint answered with something that shows it at work. True when that closed the circuit. What was on its
    /// way already does not end a silence that the endpoint asked for.
    mutating func succeeded(at now: Instant) -> Bool {
        (failureCount, openings, changes, lastFailed) = (0, 0, 0, nil)
        if case .open(let until, isAsked: true) = state, now < until { return false }
        defer { state = .closed }
        return state != .closed
    }

    /// A request failed, which a number tells from others; `pause` is what the endpoint asked for, for all requests;
    /// `random` is from 0 to 1. True when that opened the circuit, again or for the first time. A request that alone
    /// fails again and again says nothing about others, and opens nothing.
    mutating func failed(_ request: Int, at now: Instant, pause: Duration?, random: Double) -> Bool {
        failureCount += 1
        if lastFailed != request { changes += 1 }
        lastFailed = request
        switch state {
        case .closed: guard pause != nil || (failureCount >= failuresMax && changes > 1) else { return false }
        case .open(let until, let isAsked):
            // What was on its way when it was opened comes back.
            if let pause { state = .open(until: isAsked ? max(until, now + pause) : now + pause, isAsked: true) }
            return false
        case .probing: break
        }
        let length = pause ?? pauses.pause(after: openings, random: random)
        state = .open(until: now + length, isAsked: pause != nil)
        openings += 1
        return true
    }
}

/// Pauses between attempts: doubled each time up to a longest, with full jitter, so that what failed together does not
/// come back together.
struct RetryPauses: Sendable, Equatable {
    var initial: Duration
    var longest: Duration

    /// The pause after so many earlier failures. `random` is from 0 to 1; a tenth of the pause is kept in any case, so
    /// that no receiver is asked without any pause.
    func pause(after failures: Int, random: Double) -> Duration {
        var whole = min(initial, longest)
        for _ in 0..<min(max(failures, 0), 32) where whole < longest { whole = min(whole * 2, longest) }
        return whole * (0.1 + 0.9 * min(max(random, 0), 1))
    }
}

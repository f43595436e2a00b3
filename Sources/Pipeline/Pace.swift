/// How fast a cursor moves, measured over a second at least.
struct Pace {
    private var since = ContinuousClock.now
    private var offset: UInt64
    private var isMeasured = false

    /// The shortest time that is measured over.
    static let intervalMin = Duration.seconds(1)

    /// A pace of a cursor that is at an offset now.
    init(at offset: UInt64) { self.offset = offset }

    /// Events a second since the last answer, when the cursor is at an offset now; nil when that is not long ago. None
    /// before the first measure: what an earlier pace was does not count any more.
    mutating func rate(at offset: UInt64) -> Double? {
        let now = ContinuousClock.now
        let time = now - since
        guard time >= Self.intervalMin else { return isMeasured ? nil : 0 }
        isMeasured = true
        let count = offset >= self.offset ? offset - self.offset : 0
        (since, self.offset) = (now, offset)
        return Double(count) / (time / .seconds(1))
    }
}

/// What lies in the stream behind the state's floor: perhaps records of ours that no receipt named, which an
/// interruption left there. They are known again by their ids, however long ago it was.
struct StreamTail {
    /// More messages are not looked at: those of ours came soon after the floor, whoever publishes beside us.
    static let countMax = 1 << 18
    /// So many records in a row that are not in the tail show that it is passed.
    static let missesMax = 1 << 16

    private var sequences: [[UInt8]: UInt64] = [:]
    private var misses = 0

    /// No messages.
    init() {}

    /// True when no record needs to be looked for.
    var isEmpty: Bool { sequences.isEmpty }

    /// The lowest sequence in it.
    var lowest: UInt64? { sequences.values.min() }

    /// Notes a message.
    mutating func insert(_ id: [UInt8], _ sequence: UInt64) {
        if sequences[id] == nil { sequences[id] = sequence }
    }

    /// The sequence of the record with an id (in the form of its header), once.
    mutating func take(_ id: [UInt8]) -> UInt64? {
        if let sequence = sequences.removeValue(forKey: id) {
            misses = 0
            return sequence
        }
        misses += 1
        if misses > Self.missesMax { sequences = [:] }
        return nil
    }
}

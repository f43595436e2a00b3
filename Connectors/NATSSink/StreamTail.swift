/// What lies in the stream behind the state's floor: perhaps records of ours that no receipt named, which an
/// interruption left there. They are known again by their ids, however long ago it was.
struct StreamTail {
    /// What the stream has of a record.
    enum Finding: Equatable {
        /// Nothing, or only what was published before the beginning that was asked for.
        case nothing
        /// The message with a sequence.
        case stored(UInt64)
        /// A message of a later beginning, which the state knows nothing of.
        case later
    }

    /// More messages are not looked at: those of ours came soon after the floor, whoever publishes beside us.
    static let countMax = 1 << 18
    /// So many records in a row that are not in the tail show that it is passed.
    static let missesMax = 1 << 16

    private var places: [[UInt8]: (sequence: UInt64, beginning: UInt64)] = [:]
    private var misses = 0

    /// No messages.
    init() {}

    /// True when no record needs to be looked for.
    var isEmpty: Bool { places.isEmpty }

    /// The lowest sequence in it.
    var lowest: UInt64? { places.values.lazy.map(\.sequence).min() }

    /// Notes a message: of an event's messages the first one of the latest beginning.
    mutating func insert(_ value: [UInt8], _ sequence: UInt64) {
        let id = MessageID(value)
        if let known = places[id.event], known.beginning >= id.beginning { return }
        places[id.event] = (sequence, id.beginning)
    }

    /// What there is of the event with an id (in the form of its header) since a beginning, once.
    mutating func take(_ event: [UInt8], since beginning: UInt64) -> Finding {
        if let place = places.removeValue(forKey: event), place.beginning >= beginning {
            misses = 0
            return place.beginning == beginning ? .stored(place.sequence) : .later
        }
        misses += 1
        if misses > Self.missesMax { places = [:] }
        return .nothing
    }
}

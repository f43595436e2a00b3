internal import ChangeModel
internal import ConnectorKit

/// Where a text of a record stands that is not its payload.
struct TextPlace: BitwiseCopyable {
    var range: ByteRange
    /// True for a range of the texts that go behind the events, false for one of the event itself.
    var isLoose: Bool

    init(_ range: Range<Int>, isLoose: Bool = false) {
        (self.range, self.isLoose) = (ByteRange(range), isLoose)
    }

    private init() { (range, isLoose) = (.empty, false) }

    static let none = TextPlace()
}

/// Where the texts of a record stand.
struct RecordTexts: BitwiseCopyable {
    var id = TextPlace.none
    var key = TextPlace.none
    /// The key before an update that changed it.
    var previousKey = TextPlace.none
    /// The context attributes, where the payload is the data alone.
    var attributes = TextPlace.none
    /// Debezium: the key as JSON, and the headers.
    var keyDocument = TextPlace.none
    var headers = TextPlace.none

    /// True when one of them stands behind the events.
    var hasLooseOnes: Bool {
        id.isLoose || key.isLoose || previousKey.isLoose || attributes.isLoose || keyDocument.isLoose
            || headers.isLoose
    }

    /// Moves the ranges of a record that lie in the texts behind the events.
    func move(_ record: inout Record, by shift: UInt32) {
        if id.isLoose { record.id.offset &+= shift }
        if key.isLoose { record.key.offset &+= shift }
        if previousKey.isLoose { record.previousKey.offset &+= shift }
        if attributes.isLoose { record.attributes.offset &+= shift }
        if keyDocument.isLoose { record.keyDocument.offset &+= shift }
        if headers.isLoose { record.headers.offset &+= shift }
    }
}

internal import ChangeModel

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
}

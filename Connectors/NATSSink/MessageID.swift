import ByteKit

/// The id that the server knows a message again by: the event's id in the form of a header and, once the sink began
/// anew, behind a blank the number of that beginning. A blank in an event's id is `%20`, so the first one ends it.
///
/// A server takes nothing whose id it knows from its duplicate window. What is published again has to be stored behind
/// what is there, so it needs ids that the server cannot know. See docs/decisions/0041-ids-of-what-comes-again.md.
struct MessageID: Equatable {
    /// The event's id.
    var event: [UInt8]
    /// The number of the beginning that it was published since; 0 for the first one.
    var beginning: UInt64

    /// What stands between the two.
    static let separator: StaticString = " again="
    /// The most bytes that a beginning adds to an id.
    static let addedBytesMax = separator.utf8CodeUnitCount + 20

    /// Reads the value of a header. One of another form is all event.
    init(_ value: [UInt8]) {
        self.init(event: value, beginning: 0)
        guard let blank = value.firstIndex(of: 0x20) else { return }
        let separator = unsafe UnsafeBufferPointer(
            start: Self.separator.utf8Start, count: Self.separator.utf8CodeUnitCount)
        guard unsafe value[blank...].starts(with: separator) else { return }
        let digits = value[(blank + separator.count)...]
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt64(String(decoding: digits, as: UTF8.self))
        else { return }
        self.init(event: Array(value[..<blank]), beginning: number)
    }

    init(event: [UInt8], beginning: UInt64) {
        self.event = event
        self.beginning = beginning
    }
}

extension OutputBuffer {
    /// Appends the id of a message: that of an event, and of the beginning that it is published since.
    mutating func append(messageID event: RawSpan, since beginning: UInt64) {
        append(headerValue: event)
        guard beginning > 0 else { return }
        append(MessageID.separator)
        append(decimal: beginning)
    }
}

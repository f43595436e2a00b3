internal import ByteKit

/// What a request says, at every attempt the same.
struct RequestContent {
    /// Its `webhook-id`.
    let id: RequestID
    /// What the body lies in.
    let bytes: FrozenBytes
    /// Where the body lies.
    let body: Range<Int>
    /// The one record that it is made of; nil for an array of several.
    let source: ParcelRecord?

    init(id: RequestID, bytes: FrozenBytes, body: Range<Int>, source: ParcelRecord? = nil) {
        self.id = id
        self.bytes = bytes
        self.body = body
        self.source = source
    }
}

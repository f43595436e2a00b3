internal import ByteKit
private import ChangeModel
internal import ConnectorKit
private import Glibc

/// Writes and signs the heads of requests before the courier's thread needs them: that one thread has all connections,
/// and what others can do is not left to it. Used by one task at a time.
struct HeadScribe: ~Copyable {
    private var head: RequestHead
    private let writer: RequestWriter
    private let second: @Sendable () -> Int

    /// Larger bodies are signed when they are sent: they would hold up the pipeline's threads.
    private static let bodyBytesMax = 64 << 10
    /// About what a head takes.
    private static let headBytes = 384

    /// A scribe for a sink; nil where a request is made of several events, of which nobody knows yet which. `second` is
    /// the clock: seconds since 1970-01-01 00:00 UTC.
    init?(
        _ settings: WebhookSettings, contentType: String?, second: @escaping @Sendable () -> Int = { time(nil) }
    ) throws(ConnectorFailure) {
        if settings.mode == .batch { return nil }
        self.second = second
        head = try RequestHead(settings, contentType: contentType)
        writer = RequestWriter(settings)
    }

    /// The batch with the heads of first attempts, as they are in this second.
    mutating func parcel(of batch: RecordBatch) throws(ConnectorFailure) -> Parcel {
        let bare = Parcel(batch)
        if batch.records.isEmpty { return bare }
        let timestamp = second()
        var heads = OutputBuffer(capacity: batch.records.count * Self.headBytes)
        var ends: [Int] = []
        ends.reserveCapacity(batch.records.count)
        for index in batch.records.indices {
            let payload = batch.records[index].payload
            // The courier says what is wrong with a batch.
            guard Int(payload.offset) + Int(payload.length) <= batch.body.count else { return bare }
            if payload.length <= Self.bodyBytesMax {
                let content = try writer.content(of: ParcelRecord(parcel: bare, index: index))
                try head.append(content, timestamp: timestamp, to: &heads)
            }
            ends.append(heads.count)
        }
        return Parcel(batch, heads: WrittenHeads(heads.freeze(), ends: ends, timestamp: timestamp))
    }
}

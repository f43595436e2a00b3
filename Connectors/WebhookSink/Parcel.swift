internal import ByteKit
internal import ConnectorKit

/// A batch as the courier gets it, with the heads of its requests as far as they are written already.
final class Parcel: Sendable {
    let batch: RecordBatch
    /// In the order of the records; nil where each is written when it is sent.
    let heads: WrittenHeads?

    init(_ batch: RecordBatch, heads: WrittenHeads? = nil) {
        self.batch = batch
        self.heads = heads
    }
}

/// A record in a parcel.
struct ParcelRecord {
    let parcel: Parcel
    /// Its place among the records of the batch.
    let index: Int

    var batch: RecordBatch { parcel.batch }
    var record: Record { parcel.batch.records[index] }
}

/// Heads of first attempts, with their signatures, for the records of a batch.
struct WrittenHeads: Sendable {
    private let bytes: FrozenBytes
    /// Where each head ends; an empty one is not written.
    private let ends: [Int]
    /// The second that they name. In another one they are written anew.
    private let timestamp: Int

    init(_ bytes: FrozenBytes, ends: [Int], timestamp: Int) {
        self.bytes = bytes
        self.ends = ends
        self.timestamp = timestamp
    }

    /// Appends the head of a record when it names that second. False when it does not, or is not written.
    func append(_ index: Int, ofSecond second: Int, to output: inout OutputBuffer) -> Bool {
        guard second == timestamp, index < ends.count else { return false }
        let start = index == 0 ? 0 : ends[index - 1]
        guard start < ends[index] else { return false }
        output.append(bytes.bytes.extracting(start..<ends[index]))
        return true
    }
}

internal import ByteKit

/// The first format of a batch's body, whose transactions had no context: a log keeps it for as long as its events.
enum FormerBatchFormat {
    /// "MLRBTCH1" as little-endian bytes.
    private static let magic: UInt64 = 0x3148_4354_4252_4C4D
    private static let footerSize = 32
    private static let transactionSize = 24
    private static let changeSize = 32

    /// The body in today's format: the same object, unless it is in the first one.
    static func converting(_ stored: FrozenBytes) throws(ChangeBatchError) -> FrozenBytes {
        let end = stored.count - footerSize
        guard end >= 0, stored.load(at: stored.count - 8, as: UInt64.self) == magic else { return stored }
        let arenaLength = Int(stored.load(at: end, as: UInt32.self))
        let transactionCount = Int(stored.load(at: end + 4, as: UInt32.self))
        let changeCount = Int(stored.load(at: end + 8, as: UInt32.self))
        let transactionsEnd = arenaLength + transactionCount * transactionSize
        guard transactionsEnd + changeCount * changeSize == end else { throw .damaged("length") }
        var body = OutputBuffer(capacity: stored.count + transactionCount * 8)
        let bytes = stored.bytes
        body.append(bytes.extracting(0..<arenaLength))
        for index in 0..<transactionCount {
            let start = arenaLength + index * transactionSize
            body.append(bytes.extracting(start..<(start + transactionSize)))
            body.append(memoryOf: [ByteRange.empty].span)
        }
        body.append(bytes.extracting(transactionsEnd..<end))
        let footer = BatchFooter(
            arenaLength: UInt32(arenaLength), transactionCount: UInt32(transactionCount),
            changeCount: UInt32(changeCount), relationCount: stored.load(at: end + 12, as: UInt32.self))
        body.append(memoryOf: [footer].span)
        return body.freeze()
    }
}

import ByteKit
import ConnectorKit

/// The compressors of a sink: as many as memory allows, each in the middle of one file's stream or idle.
final class CompressorPool {
    private let compression: Compression
    private var idle: [Compressor] = []
    private var borrowers: [Borrower] = []
    /// Compressed bytes on their way into a file; empty between calls.
    var output = OutputBuffer(capacity: 64 << 10)

    /// So many compressed bytes are kept before they are written.
    static let outputBytesMax = 1 << 20

    /// Weak: files have their pool.
    private struct Borrower {
        let id: ObjectIdentifier
        weak var file: OutputFile?
    }

    init(_ compression: Compression) { self.compression = compression }

    /// A compressor that belongs to `file` from now on. When all are taken, the stream of the file that was written to
    /// longest ago is ended.
    func lend(to file: OutputFile) throws(ConnectorFailure) -> Compressor {
        if idle.isEmpty, borrowers.count >= compression.streamsMax,
            let oldest = borrowers.compactMap(\.file).min(by: { $0.lastUse < $1.lastUse })
        {
            try oldest.endStream()
        }
        guard let compressor = idle.popLast() ?? Compressor(compression) else { throw FileFailure.noMemory }
        borrowers.append(Borrower(id: ObjectIdentifier(file), file: file))
        return compressor
    }

    /// Takes a compressor back.
    func takeBack(_ compressor: Compressor, from file: OutputFile) {
        compressor.reset()
        let id = ObjectIdentifier(file)
        borrowers.removeAll { $0.id == id }
        if idle.count < compression.streamsMax { idle.append(compressor) }
    }
}

/// How the bytes of files are compressed.
package enum Compression: UInt8, Sendable, CaseIterable {
    case none, gzip, zstd

    /// The word in the configuration.
    var name: String {
        switch self {
        case .none: "none"
        case .gzip: "gzip"
        case .zstd: "zstd"
        }
    }

    /// What names of such files end with.
    var suffix: String {
        switch self {
        case .none: ""
        case .gzip: ".gz"
        case .zstd: ".zst"
        }
    }

    /// How many files may be in the middle of a stream at a time. A stream takes about 270 KiB (gzip) or 2 MiB (zstd).
    var streamsMax: Int { self == .zstd ? 8 : 32 }
}

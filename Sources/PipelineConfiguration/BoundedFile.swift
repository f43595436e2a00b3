import Glibc

/// Reads whole files of a bounded size.
enum BoundedFile {
    /// Why a file was not read.
    enum Failure: Error, Equatable {
        /// The system refused, with its own words.
        case system(String)
        /// It has more bytes than allowed.
        case tooLarge(bytesMax: Int)
    }

    /// The bytes of the file at `path`; also reads pipes, to their end.
    static func read(_ path: String, bytesMax: Int) throws(Failure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(lastError()) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count <= bytesMax {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count > 0 {
                bytes += chunk[..<count]
            } else if errno != EINTR {
                throw .system(lastError())
            }
        }
        throw .tooLarge(bytesMax: bytesMax)
    }

    private static func lastError() -> String { String(cString: strerror(errno)) }
}

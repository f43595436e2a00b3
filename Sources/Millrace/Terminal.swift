import Glibc

/// Standard output and standard error. Every line goes out by one write, so that lines of several tasks never mix.
enum Terminal {
    /// Whether standard error is a terminal that shows progress and colours.
    static let showsProgress = isatty(2) == 1 && getenv("NO_COLOR") == nil

    /// Writes a line to standard output. False when nobody reads any more.
    @discardableResult
    static func printLine(_ text: String) -> Bool { write(text + "\n", to: 1) }

    /// Writes text to standard output as it is.
    static func printText(_ text: String) { _ = write(text, to: 1) }

    /// Writes a line to standard error.
    static func printError(_ text: String) { _ = write((showsProgress ? "\r\u{1B}[K" : "") + text + "\n", to: 2) }

    /// Replaces the progress line at the foot of the terminal; nothing elsewhere.
    static func showProgress(_ text: String) {
        guard showsProgress else { return }
        _ = write("\r\u{1B}[K" + text, to: 2)
    }

    /// Writes bytes as they are. False when nobody reads any more.
    static func write(_ bytes: borrowing RawSpan, to descriptor: Int32) -> Bool {
        bytes.withUnsafeBytes { buffer in writeAll(buffer, to: descriptor) }
    }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: descriptor) }
    }

    private static func writeAll(_ buffer: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var rest = buffer[...]
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { return false }
            rest = rest.dropFirst(written)
        }
        return true
    }
}

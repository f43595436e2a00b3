import Foundation

/// A Swift file taken apart into code, comments and string literals, well enough for rules: it knows nested comments,
/// raw and multi-line strings and interpolations, and does not know regex literals.
struct SwiftText {
    /// A string literal.
    struct Literal: Equatable {
        /// What stands between the quotes, as written.
        var text: String
        var line: Int
        /// The code before it, without white space at its end: at most 80 bytes.
        var before: String
    }

    /// The file's bytes, in which everything but code is spaces. Quotes stay; lines and columns are those of the file.
    private(set) var code: [UInt8]
    /// The file's bytes, in which everything but comments is spaces.
    private(set) var comments: [UInt8]
    private(set) var literals: [Literal] = []
    private var lineStarts: [Int] = [0]

    private enum Mode {
        case code(depth: Int)
        case string(hashes: Int, quotes: Int, start: Int)
    }

    init(_ text: String) {
        let bytes = Array(text.utf8)
        code = bytes
        comments = bytes.map { $0 == 0x0A ? 0x0A : 0x20 }
        for (index, byte) in bytes.enumerated() where byte == 0x0A { lineStarts.append(index + 1) }
        var scanner = Scanner(bytes: bytes)
        scanner.scan(into: &self)
    }

    /// The number of the line that holds a byte, from 1.
    func line(of offset: Int) -> Int {
        var (low, high) = (0, lineStarts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    private mutating func blank(_ range: Range<Int>) {
        for index in range where code[index] != 0x0A { code[index] = 0x20 }
    }

    /// Walks over the bytes once.
    private struct Scanner {
        let bytes: [UInt8]
        var at = 0
        var modes: [Mode] = [.code(depth: 0)]

        init(bytes: [UInt8]) { self.bytes = bytes }

        func starts(_ token: String, at offset: Int) -> Bool {
            bytes[min(offset, bytes.count)...].starts(with: token.utf8)
        }

        mutating func scan(into text: inout SwiftText) {
            while at < bytes.count, let mode = modes.last {
                switch mode {
                case .code(let depth): scanCode(depth, &text)
                case .string(let hashes, let quotes, let start): scanString(hashes, quotes, start, &text)
                }
            }
        }

        /// True for bytes that may begin a comment or a string, or count for the depth.
        private static func isOfInterest(_ byte: UInt8) -> Bool {
            byte == 0x22 || byte == 0x23 || byte == 0x28 || byte == 0x29 || byte == 0x2F
        }

        private mutating func scanCode(_ depth: Int, _ text: inout SwiftText) {
            while at < bytes.count, !Self.isOfInterest(bytes[at]) { at += 1 }
            guard at < bytes.count else { return }
            if starts("//", at: at) {
                skip(to: bytes[at...].firstIndex(of: 0x0A) ?? bytes.count, &text)
            } else if starts("/*", at: at) {
                skip(to: endOfComment(), &text)
            } else if let opening = openingQuote() {
                at = opening.end
                modes.append(.string(hashes: opening.hashes, quotes: opening.quotes, start: at))
            } else {
                let byte = bytes[at]
                at += 1
                guard modes.count > 1 else { return }
                if byte == UInt8(ascii: "(") { modes[modes.count - 1] = .code(depth: depth + 1) }
                if byte == UInt8(ascii: ")") {
                    if depth == 0 { modes.removeLast() } else { modes[modes.count - 1] = .code(depth: depth - 1) }
                }
            }
        }

        private mutating func skip(to end: Int, _ text: inout SwiftText) {
            text.comments.replaceSubrange(at..<end, with: bytes[at..<end])
            text.blank(at..<end)
            at = end
        }

        private func endOfComment() -> Int {
            var (index, depth) = (at + 2, 1)
            while index < bytes.count {
                if starts("/*", at: index) {
                    (index, depth) = (index + 2, depth + 1)
                } else if starts("*/", at: index) {
                    (index, depth) = (index + 2, depth - 1)
                    if depth == 0 { return index }
                } else {
                    index += 1
                }
            }
            return bytes.count
        }

        private func openingQuote() -> (hashes: Int, quotes: Int, end: Int)? {
            let hashes = bytes[at...].prefix { $0 == UInt8(ascii: "#") }.count
            let quote = at + hashes
            guard starts("\"", at: quote) else { return nil }
            let quotes = starts("\"\"\"", at: quote) ? 3 : 1
            return (hashes, quotes, quote + quotes)
        }

        private mutating func scanString(_ hashes: Int, _ quotes: Int, _ start: Int, _ text: inout SwiftText) {
            let pounds = String(repeating: "#", count: hashes)
            let closing = String(repeating: "\"", count: quotes) + pounds
            if starts(closing, at: at) || (quotes == 1 && bytes[at] == 0x0A) {
                let content = String(decoding: bytes[start..<at], as: UTF8.self)
                text.literals.append(
                    Literal(text: content, line: text.line(of: start), before: before(start - quotes - hashes, text)))
                at += bytes[at] == 0x0A ? 1 : closing.utf8.count
                modes.removeLast()
            } else if starts("\\\(pounds)(", at: at) {
                text.blank(at..<at + hashes + 2)
                at += hashes + 2
                modes.append(.code(depth: 0))
            } else {
                let end = min(bytes.count, at + (starts("\\" + pounds, at: at) ? hashes + 2 : 1))
                text.blank(at..<end)
                at = end
            }
        }

        private func before(_ offset: Int, _ text: SwiftText) -> String {
            let code = text.code[max(0, offset - 80)..<max(0, offset)]
            let end = code.lastIndex { $0 != 0x20 && $0 != 0x0A }
            return end.map { String(decoding: code[...$0], as: UTF8.self) } ?? ""
        }
    }
}

extension SwiftText {
    /// True for bytes of names.
    static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), 0x80...: true
        default: false
        }
    }

    /// The offsets at which `token` stands in `bytes`, with no letter before it, nor after it when it ends with a
    /// letter.
    static func occurrences(of token: String, in bytes: [UInt8]) -> [Int] {
        let wanted = Array(token.utf8)
        guard let first = wanted.first, let last = wanted.last, bytes.count >= wanted.count else { return [] }
        var found: [Int] = []
        var from = 0
        while let start = place(of: wanted, in: bytes, from: from) {
            from = start + 1
            let end = start + wanted.count
            if isWordByte(first), start > 0, isWordByte(bytes[start - 1]) { continue }
            if isWordByte(last), end < bytes.count, isWordByte(bytes[end]) { continue }
            found.append(start)
        }
        return found
    }

    /// Where `wanted` stands next: every rule looks through the whole repository, so the C library looks.
    private static func place(of wanted: [UInt8], in bytes: [UInt8], from: Int) -> Int? {
        bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, let first = wanted.first else { return nil }
            var place = from
            while place + wanted.count <= bytes.count,
                let hit = memchr(start + place, Int32(first), bytes.count - wanted.count + 1 - place)
            {
                if memcmp(hit, wanted, wanted.count) == 0 { return UnsafeRawPointer(hit) - start }
                place = UnsafeRawPointer(hit) - start + 1
            }
            return nil
        }
    }
}

/// A JSON Pointer (RFC 6901) by its bytes.
///
/// Two pointers are equal only when every byte is: names that differ in their Unicode normalization alone are different
/// members, though Swift calls such strings equal.
struct JSONPointer: Sendable, Hashable {
    private(set) var bytes: [UInt8] = []

    private static let slash = UInt8(ascii: "/")
    private static let tilde = UInt8(ascii: "~")

    /// The pointer to the whole document.
    init() {}

    /// A pointer of its text, with each name escaped in the one way that this type does; nil for text that is no
    /// pointer.
    init?(_ text: String) {
        let source = Array(text.utf8)
        guard source.isEmpty || source[0] == Self.slash else { return nil }
        for step in source.split(separator: Self.slash, omittingEmptySubsequences: false).dropFirst() {
            append(name: Self.unescaped(step))
        }
    }

    /// The text.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The names and indices from the root on.
    var steps: [String] {
        bytes.split(separator: Self.slash, omittingEmptySubsequences: false).dropFirst().map {
            String(decoding: Self.unescaped($0), as: UTF8.self)
        }
    }

    /// The pointer to what is inside of this one's value.
    func appending(_ names: String...) -> JSONPointer {
        var longer = self
        for name in names { longer.append(name: name.utf8) }
        return longer
    }

    /// The pointer to the end of another one that begins here.
    func appending(_ other: JSONPointer) -> JSONPointer {
        var longer = self
        longer.bytes += other.bytes
        return longer
    }

    /// Goes one step further.
    mutating func append(name: some Sequence<UInt8>) {
        bytes.append(Self.slash)
        for byte in name {
            switch byte {
            case Self.tilde: bytes += [Self.tilde, UInt8(ascii: "0")]
            case Self.slash: bytes += [Self.tilde, UInt8(ascii: "1")]
            default: bytes.append(byte)
            }
        }
    }

    /// Goes back to an earlier length in bytes.
    mutating func cut(to count: Int) { bytes.removeLast(max(0, bytes.count - count)) }

    private static func unescaped(_ name: ArraySlice<UInt8>) -> [UInt8] {
        guard name.contains(tilde) else { return Array(name) }
        var result: [UInt8] = []
        var rest = name
        while let byte = rest.popFirst() {
            if byte == tilde, let code = rest.first, code == UInt8(ascii: "0") || code == UInt8(ascii: "1") {
                result.append(code == UInt8(ascii: "0") ? tilde : slash)
                rest.removeFirst()
            } else {
                result.append(byte)
            }
        }
        return result
    }
}

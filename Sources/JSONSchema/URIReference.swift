/// A URI or a relative reference to one, in its parts (RFC 3986).
///
/// Everything is done on code points: a delimiter with a combining mark behind it is a delimiter.
struct URIReference: Sendable {
    var scheme: String?
    var authority: String?
    var path: String
    var query: String?
    var fragment: String?

    private static let slash = UInt8(ascii: "/")

    /// Takes any text apart (appendix B); nothing is checked.
    init(_ text: String) {
        var rest = Substring(text).utf8
        fragment = Self.cut(&rest, behind: UInt8(ascii: "#"))
        query = Self.cut(&rest, behind: UInt8(ascii: "?"))
        if let mark = rest.firstIndex(where: { $0 == UInt8(ascii: ":") || $0 == Self.slash }),
            rest[mark] == UInt8(ascii: ":"), mark > rest.startIndex
        {
            scheme = String(Substring(rest[..<mark]))
            rest = rest[rest.index(after: mark)...]
        }
        if rest.starts(with: [Self.slash, Self.slash]) {
            rest = rest.dropFirst(2)
            let end = rest.firstIndex(of: Self.slash) ?? rest.endIndex
            authority = String(Substring(rest[..<end]))
            rest = rest[end...]
        }
        path = String(Substring(rest))
    }

    private static func cut(_ rest: inout Substring.UTF8View, behind mark: UInt8) -> String? {
        guard let place = rest.firstIndex(of: mark) else { return nil }
        defer { rest = rest[..<place] }
        return String(Substring(rest[rest.index(after: place)...]))
    }

    /// The reference as it is meant in a document at `base` (section 5.2.2).
    func resolved(against base: URIReference) -> URIReference {
        var target = self
        if scheme != nil {
            target.path = Self.withoutDots(path)
            return target
        }
        target.scheme = base.scheme
        if authority != nil {
            target.path = Self.withoutDots(path)
            return target
        }
        target.authority = base.authority
        if path.isEmpty {
            target.path = base.path
            target.query = query ?? base.query
        } else if path.utf8.first == Self.slash {
            target.path = Self.withoutDots(path)
        } else {
            target.path = Self.withoutDots(base.merging(path))
        }
        return target
    }

    /// The URI of the resource, without the part in it.
    var withoutFragment: String {
        var copy = self
        copy.fragment = nil
        return copy.text
    }

    /// The text again (section 5.3).
    var text: String {
        (scheme.map { $0 + ":" } ?? "") + (authority.map { "//" + $0 } ?? "") + path + (query.map { "?" + $0 } ?? "")
            + (fragment.map { "#" + $0 } ?? "")
    }

    private func merging(_ other: String) -> String {
        if authority != nil && path.isEmpty { return "/" + other }
        guard let slash = path.utf8.lastIndex(of: Self.slash) else { return other }
        return path[...slash] + other
    }

    /// Section 5.2.4.
    private static func withoutDots(_ path: String) -> String {
        guard path.utf8.contains(UInt8(ascii: ".")) else { return path }
        var output: [Substring.UTF8View] = []
        let segments = Substring(path).utf8.split(separator: slash, omittingEmptySubsequences: false)
        let none = Substring().utf8
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            if segment.elementsEqual(".".utf8) {
                if isLast { output.append(none) }
            } else if segment.elementsEqual("..".utf8) {
                if output.count > 1 || (output.count == 1 && !output[0].isEmpty) { output.removeLast() }
                if isLast { output.append(none) }
            } else {
                output.append(segment)
            }
        }
        return output.map { String(Substring($0)) }.joined(separator: "/")
    }

    /// Text with its percent-encoded bytes decoded; nil when they are no UTF-8.
    static func decoded(_ text: String) -> String? {
        var bytes: [UInt8] = []
        let source = Array(text.utf8)
        var place = 0
        while place < source.count {
            if source[place] == UInt8(ascii: "%"), place + 2 < source.count,
                let high = source[place + 1].hexValue, let low = source[place + 2].hexValue
            {
                bytes.append(high << 4 | low)
                place += 3
            } else {
                bytes.append(source[place])
                place += 1
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

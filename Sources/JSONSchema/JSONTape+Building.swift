internal import ByteKit
internal import JSONText

/// What the bytes of a value stand for in JSON.
package enum JSONForm: UInt8, Sendable {
    /// No bytes are looked at.
    case null, `true`, `false`
    /// A number in JSON's grammar.
    case number
    /// The characters of a string, without quotes and escapes. What is not UTF-8 counts as U+FFFD, as in an event.
    case string
    /// JSON text of any kind.
    case json
}

/// A tape that grows value by value, from bytes that are no JSON text. Its memory is used again and again.
extension JSONTape {
    /// A tape of nothing.
    init() { (bytes, nodes) = ([], []) }

    /// The tape of a value: no escapes, no name twice, and numbers in their shortest form.
    init(literal value: JSONValue) throws(JSONError) {
        self.init()
        guard append(literal: value) else {
            throw JSONError(message: "the value is longer than 2 GiB", line: 1, column: 1)
        }
    }

    /// Beyond this much memory is given back.
    private static let keptBytesMax = 1 << 20
    private static let keptNodesMax = 1 << 16
    /// JSON inside of a value may be nested this deep.
    private static let depthMax = 255

    /// Takes everything away but the first bytes.
    mutating func removeAll(keepingBytes count: Int = 0) {
        if bytes.count > Self.keptBytesMax { bytes = Array(bytes[..<count]) } else { bytes.removeSubrange(count...) }
        if nodes.count > Self.keptNodesMax { nodes = [] } else { nodes.removeAll(keepingCapacity: true) }
    }

    /// Appends a value. False, and nothing appended, when the bytes are not what the kind says, or too many.
    mutating func append(_ kind: JSONForm, _ text: RawSpan) -> Bool {
        let start = bytes.count
        switch kind {
        case .null: add(.null, from: start)
        case .true: add(.bool, flag: true, from: start)
        case .false: add(.bool, from: start)
        case .number:
            var place = 0
            guard let isInteger = JSONTapeScanner.passNumber(text, &place), place == text.byteCount, copy(text) else {
                return false
            }
            add(.number, flag: isInteger, from: start)
        case .string:
            guard UTF8Check.isValid(text) else {
                let repaired = unsafe Array(text.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }.utf8)
                return append(.string, repaired.rawBytes)
            }
            guard copy(text) else { return false }
            add(.string, from: start)
        case .json: return copy(text) && scan(from: start)
        }
        return true
    }

    /// Appends the node of a string whose bytes are there already.
    mutating func append(stringAt range: Range<Int32>) {
        nodes.append(
            Node(
                kind: .string, flag: false, start: range.lowerBound, end: range.upperBound,
                next: Int32(truncatingIfNeeded: nodes.count + 1), count: 0))
    }

    /// Begins a container; what is appended from here on is inside until ``close(_:count:)`` is told its index.
    mutating func open(_ kind: Kind) -> Int {
        add(kind, from: bytes.count)
        return nodes.count - 1
    }

    /// Ends a container of `count` elements or members.
    mutating func close(_ index: Int, count: Int32) {
        nodes[index].count = count
        nodes[index].end = Int32(truncatingIfNeeded: bytes.count)
        nodes[index].next = Int32(truncatingIfNeeded: nodes.count)
    }

    private mutating func add(_ kind: Kind, flag: Bool = false, from start: Int) {
        nodes.append(
            Node(
                kind: kind, flag: flag, start: Int32(truncatingIfNeeded: start),
                end: Int32(truncatingIfNeeded: bytes.count), next: Int32(truncatingIfNeeded: nodes.count + 1), count: 0)
        )
    }

    private mutating func copy(_ text: RawSpan) -> Bool {
        guard bytes.count + text.byteCount <= Self.byteCountMax else { return false }
        unsafe text.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
        return true
    }

    private mutating func scan(from start: Int) -> Bool {
        let nodeCount = nodes.count
        // Only one of the two may have the list, or it is copied.
        var scanner = JSONTapeScanner(continuing: nodes, depthMax: Self.depthMax)
        nodes = []
        let isJSON = scanner.scan(bytes.rawBytes, from: start)
        nodes = scanner.takeNodes()
        if !isJSON {
            nodes.removeSubrange(nodeCount...)
            bytes.removeSubrange(start...)
        }
        return isJSON
    }

    private mutating func append(literal value: JSONValue) -> Bool {
        if let list = value.array {
            let index = open(.array)
            for element in list { guard append(literal: element) else { return false } }
            close(index, count: Int32(truncatingIfNeeded: list.count))
            return true
        }
        if let object = value.object { return append(literal: object) }
        if let text = value.string { return append(.string, Array(text.utf8).rawBytes) }
        if let number = value.number {
            return append(.number, ExactNumber(Array(number.text.utf8)).shortestText.rawBytes)
        }
        let none: [UInt8] = []
        return append(value.bool.map { $0 ? .true : .false } ?? .null, none.rawBytes)
    }

    private mutating func append(literal object: JSONObject) -> Bool {
        var lastPlaces: [[UInt8]: Int] = [:]
        for (place, member) in object.members.enumerated() { lastPlaces[Array(member.name.utf8)] = place }
        let index = open(.object)
        for (place, member) in object.members.enumerated() {
            let name = Array(member.name.utf8)
            guard lastPlaces[name] == place else { continue }
            guard append(.string, name.rawBytes), append(literal: member.value) else { return false }
        }
        close(index, count: Int32(truncatingIfNeeded: lastPlaces.count))
        return true
    }
}

internal import ByteKit
internal import ChangeModel

/// How a part of a structured value is read and spelled. Parts point to each other by their places in the plan, so that
/// no row pays for a tree.
struct ValueNode: BitwiseCopyable {
    enum Kind: UInt8 {
        case plain, array, vector, composite, range, multirange
    }

    var kind = Kind.plain
    /// How a plain part is spelled.
    var form = TextForm.string
    /// How a plain part is spelled for Debezium; nil for the other formats.
    var leaf: DebeziumLeaf?
    /// What parts the elements of an array.
    var delimiter = UInt8(ascii: ",")
    /// The element, the bound, or the first field, which the others follow.
    var firstChild: UInt32 = 0
    var childCount: UInt32 = 0
    /// `,"name":` in the fragments, for a field.
    var member = ByteRange.empty

    /// The places of the parts.
    var children: Range<Int> { Int(firstChild)..<(Int(firstChild) &+ Int(childCount)) }
}

/// Lays out the shapes of a relation's columns.
struct ValueNodes {
    private(set) var all: [ValueNode] = []

    /// Parts that are nested deeper than this, or come after so many others, stay text: a bound for whatever the log
    /// holds. The catalogue gives fewer.
    private static let depthMax = 32
    private static let countMax = 1 << 18

    /// Adds a value's shape; returns its place.
    mutating func add(_ shape: TypeShape?, writer: inout FragmentWriter) -> Int {
        all.append(ValueNode())
        let place = all.count - 1
        fill(place, .other, shape, depth: 0, &writer)
        return place
    }

    /// Adds a node of its own; returns its place.
    mutating func append(_ node: ValueNode) -> Int {
        all.append(node)
        return all.count - 1
    }

    mutating func setFirstChild(of place: Int, to child: Int) {
        all[place].firstChild = UInt32(truncatingIfNeeded: child)
    }

    private mutating func fill(
        _ place: Int, _ type: ValueType, _ shape: TypeShape?, depth: Int, _ writer: inout FragmentWriter
    ) {
        all[place].form = TextForm(type, shape)
        let parts: [PartType]
        switch shape {
        case .array(let element, let delimiter):
            (all[place].kind, all[place].delimiter, parts) = (.array, delimiter, [element])
        case .vector(let element): (all[place].kind, parts) = (.vector, [element])
        case .range(let bound): (all[place].kind, parts) = (.range, [bound])
        case .multirange(let bound): (all[place].kind, parts) = (.multirange, [bound])
        case .composite(let fields): (all[place].kind, parts) = (.composite, fields.map(\.type))
        case nil, .enumeration, .json: return
        }
        guard depth < Self.depthMax, all.count + parts.count <= Self.countMax else {
            (all[place].kind, all[place].form) = (.plain, .string)
            return
        }
        let first = all.count
        all[place].firstChild = UInt32(truncatingIfNeeded: first)
        all[place].childCount = UInt32(truncatingIfNeeded: parts.count)
        all.append(contentsOf: repeatElement(ValueNode(), count: parts.count))
        if case .composite(let fields) = shape {
            for (index, field) in fields.enumerated() { all[first + index].member = writer.member(field.name) }
        }
        for (index, part) in parts.enumerated() {
            fill(first + index, part.type, part.shape, depth: depth + 1, &writer)
        }
    }
}

/// A JSON document or a part of one (RFC 8259). Numbers keep their text, objects the order of their members and members
/// with equal names.
///
/// `==` compares exactly: order, number text and code points. See ``isEquivalent(to:)`` for what a reader would call
/// equal.
package indirect enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// The members of an object; nil for anything else.
    package var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    /// The elements of an array; nil for anything else.
    package var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    /// The text of a string; nil for anything else.
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    /// A number; nil for anything else.
    package var number: JSONNumber? { if case .number(let value) = self { value } else { nil } }
    /// A truth value; nil for anything else.
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// True for `null`.
    package var isNull: Bool { if case .null = self { true } else { false } }

    /// The last member of an object under `name`, as most readers take it; nil without one, and for anything but an
    /// object.
    package subscript(name: String) -> JSONValue? { object?[name] }

    /// Equal in every part. Strings are compared by code points: `é` in one and in two of them are different names.
    package static func == (a: JSONValue, b: JSONValue) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }

    /// Hashes every part, strings by code points.
    package func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(bytesOf: value)
        case .array(let value): hasher.combine(value)
        case .object(let value): hasher.combine(value)
        }
    }

    /// True when both say the same: members in any order, numbers by value. Of members with equal names, each has to
    /// have its like, in the same order among themselves.
    package func isEquivalent(to other: JSONValue) -> Bool {
        switch (self, other) {
        case (.number(let a), .number(let b)): a.isEqualInValue(to: b)
        case (.array(let a), .array(let b)):
            a.count == b.count && zip(a, b).allSatisfy { $0.isEquivalent(to: $1) }
        case (.object(let a), .object(let b)): a.isEquivalent(to: b)
        default: self == other
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A string.
    package init(stringLiteral value: String) { self = .string(value) }
    /// A truth value.
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A whole number.
    package init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
    /// An array.
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// An object with its members in the order of the literal.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements.map { JSONObject.Member(name: $0.0, value: $0.1) }))
    }
}

extension Hasher {
    /// Hashes the code points of a string, without regard to canonical equivalence.
    mutating func combine(bytesOf text: String) {
        for byte in text.utf8 { combine(byte) }
        combine(0xFF as UInt8)
    }
}

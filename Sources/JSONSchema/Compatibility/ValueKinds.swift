internal import JSONText

/// Kinds of JSON values. Every value is of one kind.
struct ValueKinds: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    static let null = ValueKinds(rawValue: 1)
    static let bool = ValueKinds(rawValue: 2)
    /// Numbers without a fraction, however they are written.
    static let integer = ValueKinds(rawValue: 4)
    /// All other numbers.
    static let fraction = ValueKinds(rawValue: 8)
    static let string = ValueKinds(rawValue: 16)
    static let array = ValueKinds(rawValue: 32)
    static let object = ValueKinds(rawValue: 64)

    static let number: ValueKinds = [.integer, .fraction]
    static let all = ValueKinds(rawValue: 127)

    /// Each kind by itself.
    var single: [ValueKinds] {
        (0..<7).map { ValueKinds(rawValue: 1 << $0) }.filter { contains($0) }
    }

    /// The kind of a value.
    init(of value: JSONValue) {
        switch value {
        case .null: self = .null
        case .bool: self = .bool
        case .number(let number): self = ExactNumber(Array(number.text.utf8)).isWhole ? .integer : .fraction
        case .string: self = .string
        case .array: self = .array
        case .object: self = .object
        }
    }

    /// The kinds of a type's name; nil for a name that is no type.
    init?(typeName: String) {
        switch typeName {
        case "null": self = .null
        case "boolean": self = .bool
        case "integer": self = .integer
        case "number": self = .number
        case "string": self = .string
        case "array": self = .array
        case "object": self = .object
        default: return nil
        }
    }

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The names of the types, for sentences.
    var text: String {
        var names: [String] = []
        if contains(.null) { names.append("null") }
        if contains(.bool) { names.append("boolean") }
        if contains(.number) {
            names.append("number")
        } else if contains(.integer) {
            names.append("integer")
        } else if contains(.fraction) {
            names.append("number with a fraction")
        }
        if contains(.string) { names.append("string") }
        if contains(.array) { names.append("array") }
        if contains(.object) { names.append("object") }
        return names.joined(separator: " or ")
    }
}

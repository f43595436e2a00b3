/// What the values of a type are made of, for types that are more than one plain value.
///
/// A tuple holds such a value as the text that the database writes for it; the shape says how to read that text. It
/// comes from the database's catalogue, which may be newer than a value: a reader that finds a text of another shape
/// keeps the text.
public indirect enum TypeShape: Sendable, Hashable, Codable {
    /// An array of any number of dimensions; its elements are parted by `delimiter`.
    case array(of: PartType, delimiter: UInt8)
    /// A list parted by spaces (int2vector, oidvector).
    case vector(of: PartType)
    /// Fields by name, in the order of the text.
    case composite([TypeField])
    /// One of these labels, in their order. Labels may be added while values are on their way.
    case enumeration([String])
    /// A range of values.
    case range(of: PartType)
    /// A list of ranges of values.
    case multirange(of: PartType)
    /// JSON text.
    case json
}

/// The type of an element, a field or a bound.
public struct PartType: Sendable, Hashable, Codable {
    /// What it holds.
    public var type: ValueType
    /// The type in the database's words.
    public var typeName: String
    /// What its values are made of; nil for a plain value.
    public var shape: TypeShape?

    /// A type of its parts.
    public init(type: ValueType, typeName: String, shape: TypeShape? = nil) {
        self.type = type
        self.typeName = typeName
        self.shape = shape
    }
}

/// A field of a composite type.
public struct TypeField: Sendable, Hashable, Codable {
    /// The name as the database has it.
    public var name: String
    /// The type of its values.
    public var type: PartType

    /// A field of its parts.
    public init(name: String, type: PartType) {
        self.name = name
        self.type = type
    }
}

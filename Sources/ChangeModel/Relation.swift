/// What a column holds, in the source's words; a format decides how that is spelled.
public enum ValueType: String, Sendable, Hashable, Codable, CaseIterable {
    case boolean, int16, int32, int64, float32, float64, numeric, text, bytes, json, uuid
    case date, time, timeTZ, timestamp, timestampTZ, interval
    /// A decimal number of any precision that the configuration wants spelled as a number; ``numeric`` is a string.
    case number
    /// Each value says by its kind byte what it is (SQLite).
    case dynamic
    /// Any other type, carried as the source's text.
    case other
}

/// A column of a relation.
public struct Column: Sendable, Hashable, Codable {
    /// The name as the database has it.
    public var name: String
    /// What it holds.
    public var type: ValueType
    /// The type in the database's words, such as `numeric(12,2)`; for people and schemas.
    public var typeName: String
    /// PostgreSQL's type oid; 0 where there is none.
    public var typeID: UInt32
    /// PostgreSQL's type modifier; -1 where there is none.
    public var typeModifier: Int32
    /// Place in the row key, from 0; nil for a column outside of the key.
    public var keyPosition: Int?
    /// False when the database promised that the value is never NULL.
    public var isNullable: Bool
    /// What its values are made of; nil for plain values, and for every column of a relation that was stored before
    /// there were shapes.
    public var shape: TypeShape?
    /// How many characters a value has at most; nil without such a limit.
    public var lengthMax: Int?
    /// How many digits a decimal number has at most; nil without such a limit.
    public var precision: Int?
    /// How many of the digits stand behind the point; below zero it rounds before the point. Nil without ``precision``.
    public var scale: Int?
    /// What the database's people say about it; for people and schemas.
    public var comment: String?

    /// A column of its parts.
    public init(
        name: String, type: ValueType, typeName: String, typeID: UInt32 = 0, typeModifier: Int32 = -1,
        keyPosition: Int? = nil, isNullable: Bool = true, shape: TypeShape? = nil
    ) {
        self.name = name
        self.type = type
        self.typeName = typeName
        self.typeID = typeID
        self.typeModifier = typeModifier
        self.keyPosition = keyPosition
        self.isNullable = isNullable
        self.shape = shape
    }
}

/// A table as it was when a change was made: frozen, shared by all changes that were made under it.
///
/// Equality is by content, so a relation that the source announces again unchanged is the same relation.
public final class Relation: Sendable, Hashable, Codable {
    /// The database's own number of the table: an oid, or the number of a SQLite capture.
    public let sourceID: UInt32
    /// The schema (`public`), or the SQLite database (`main`).
    public let schema: String
    /// The table's name.
    public let name: String
    /// The columns in the order of the tuples.
    public let columns: [Column]
    /// How its rows become events of the application; nil for every table but an outbox.
    public let outbox: OutboxRoute?
    /// What the database's people say about the table; for people and schemas.
    public let comment: String?

    /// A relation of its parts.
    public init(
        sourceID: UInt32, schema: String, name: String, columns: [Column], outbox: OutboxRoute? = nil,
        comment: String? = nil
    ) {
        self.sourceID = sourceID
        self.schema = schema
        self.name = name
        self.columns = columns
        self.outbox = outbox
        self.comment = comment
    }

    /// True for a relation that its source made for what is no row, such as messages: no table has the number 0. Its
    /// form is the program's own.
    public var isWithoutTable: Bool { sourceID == 0 }

    /// The same table as an outbox, or, without a route, as any other.
    public func routed(by route: OutboxRoute?) -> Relation {
        Relation(sourceID: sourceID, schema: schema, name: name, columns: columns, outbox: route, comment: comment)
    }

    /// `schema.name`, for people, subjects and types.
    public var qualifiedName: String { schema + "." + name }

    /// Indices of the key's columns, in the order of the key; empty for a table without one.
    public var keyColumns: [Int] {
        columns.indices.filter { columns[$0].keyPosition != nil }
            .sorted { (columns[$0].keyPosition ?? 0) < (columns[$1].keyPosition ?? 0) }
    }

    /// Equal in every part.
    public static func == (a: Relation, b: Relation) -> Bool {
        a === b
            || (a.sourceID == b.sourceID && a.schema == b.schema && a.name == b.name && a.columns == b.columns
                && a.outbox == b.outbox && a.comment == b.comment)
    }

    /// Hashes what tells relations apart most of the time.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(sourceID)
        hasher.combine(schema)
        hasher.combine(name)
        hasher.combine(columns)
        hasher.combine(outbox)
    }
}

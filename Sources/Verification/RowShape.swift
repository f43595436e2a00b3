import ChangeModel

/// The form that rows were written under: a relation, and the version of its contract where the log knows one.
final class RowShape {
    let relation: Relation
    let version: Int?
    /// What the `key` object of its events is made of.
    let keyForm: KeyForm
    /// Indices of the key's columns, in the order of the key.
    let keyColumns: [Int]
    /// Which of our columns a column of another shape is, by that shape; filled when first needed.
    private var mappings: [ObjectIdentifier: [Int?]] = [:]

    init(_ relation: Relation, version: Int?) {
        self.relation = relation
        self.version = version
        keyColumns = relation.keyColumns
        keyForm = KeyForm(relation)
    }

    /// For each column of `other`, the index of the same column here; nil where this shape has none, or had it under
    /// another type, so that its text may be spelled in another way.
    func mapping(to other: RowShape) -> [Int?] {
        if let known = mappings[ObjectIdentifier(other)] { return known }
        let mapping = other.relation.columns.map { column in
            relation.columns.firstIndex { $0.name == column.name && Self.isSpelledAlike($0, column) }
        }
        mappings[ObjectIdentifier(other)] = mapping
        return mapping
    }

    /// The names of the key's columns, in the order of the key.
    var keyNames: [String] { keyColumns.map { relation.columns[$0].name } }

    /// True when keys of both shapes can be compared as bytes.
    func hasSameKey(as other: RowShape) -> Bool {
        guard keyNames == other.keyNames else { return false }
        let mapping = mapping(to: other)
        return other.keyColumns.allSatisfy { mapping[$0] != nil }
    }

    /// True when both have the same columns in the same order.
    func hasSameColumns(as other: RowShape) -> Bool {
        relation.columns.count == other.relation.columns.count
            && zip(relation.columns, other.relation.columns).allSatisfy {
                $0.name == $1.name && Self.isSpelledAlike($0, $1)
            }
    }

    /// True when a change of the column's type left the text of its values as it was.
    private static func isSpelledAlike(_ a: Column, _ b: Column) -> Bool {
        if a.typeID == b.typeID && a.typeModifier == b.typeModifier { return true }
        return alike.contains { $0.contains(a.typeID) && $0.contains(b.typeID) }
    }

    /// PostgreSQL's integers; its texts without padding.
    private static let alike: [Set<UInt32>] = [[20, 21, 23], [25, 1043]]
}

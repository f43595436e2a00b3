/// What the `key` object of a table's events is made of: the names of the key's columns, and for each how its values
/// are spelled. A consumer that keeps rows by that object finds none of them under another form.
///
/// The order of the columns is no part of it, nor is a type that spells the same values alike: integers of any width,
/// text of any length.
package struct KeyForm: Sendable, Hashable {
    /// The spelling of each column, a space, and its name; sorted. Empty for a table without a key.
    package let columns: [String]

    /// The form of a relation's key.
    package init(_ relation: Relation) {
        columns = relation.columns.filter { $0.keyPosition != nil }.map { Self.spelling($0) + " " + $0.name }.sorted()
    }

    /// A form that was written down.
    package init(columns: [String]) { self.columns = columns.sorted() }

    /// The names of the key's columns, sorted; for people.
    package var names: [String] { columns.map { String($0.drop { $0 != " " }.dropFirst()) }.sorted() }

    /// `id, shop`, or `no key`; for people.
    package var text: String { columns.isEmpty ? "no key" : names.joined(separator: ", ") }

    /// Goes by the type's number alone, which every reader of a table knows.
    private static func spelling(_ column: Column) -> String {
        switch column.typeID {
        // int8, int2, int4.
        case 20, 21, 23: "integer"
        // text, varchar. A uuid is spelled in one way only, and a text that says the same may be spelled in others.
        case 25, 1043: "text"
        // numeric: the digits behind the point are written out.
        case 1700: column.typeModifier < 0 ? "numeric" : "numeric:\((column.typeModifier &- 4) & 0x7FF)"
        default: "\(column.typeID):\(column.typeModifier)"
        }
    }
}

internal import ChangeModel

/// What a column of a table is, as far as capture needs to know.
struct ColumnShape: Equatable, Sendable {
    /// The name.
    var name: String
    /// The declared type, possibly empty.
    var declaredType: String
    /// Place in the primary key, from 0; nil outside of it.
    var keyPosition: Int?
    /// False when the declaration says NOT NULL, or the key's form implies it.
    var isNullable: Bool
    /// True for a generated column, which no statement can set.
    var isGenerated = false
}

/// One term of a unique key.
struct UniqueTerm: Equatable, Sendable {
    enum Content: Equatable, Sendable {
        /// A column by its place in the table.
        case column(Int)
        /// The rowid under this name: a write may name it, and then it is unique too.
        case rowid(String)
        /// An expression over the table's columns, as the index has it.
        case expression(String)
    }
    var content: Content
    /// The collation that the index compares with; nil for the rowid, which has none, and for expressions, which bring
    /// their own.
    var collation: String?
}

/// Columns whose values no two rows share: what INSERT OR REPLACE may remove a row for.
struct UniqueKey: Equatable, Sendable {
    /// The name of the index; nil for an INTEGER PRIMARY KEY or the rowid.
    var index: String?
    var terms: [UniqueTerm]
    /// The condition of a partial index.
    var predicate: String?
}

/// How a trigger names one row for certain.
enum RowIdentity: Equatable, Sendable {
    /// By the rowid, under the one of its names that no column hides.
    case rowid(String)
    /// By the primary key: WITHOUT ROWID tables.
    case key
}

/// A table as capture sees it: columns, keys and how to name a row.
struct TableShape: Equatable, Sendable {
    var name: String
    var columns: [ColumnShape]
    /// Default expressions of NOT NULL columns, as SQL, by column: OR REPLACE puts them in the place of NULL.
    var replacementDefaults: [Int: String] = [:]
    /// The primary key first.
    var uniqueKeys: [UniqueKey]
    var identity: RowIdentity
    /// Places of the primary key's columns, in the order of the key.
    var keyColumns: [Int] {
        columns.indices.filter { columns[$0].keyPosition != nil }
            .sorted { (columns[$0].keyPosition ?? 0) < (columns[$1].keyPosition ?? 0) }
    }

    /// The collation that the primary key compares a column with; nil for an INTEGER PRIMARY KEY.
    func keyCollation(of column: Int) -> String? {
        uniqueKeys.first?.terms.first { $0.content == .column(column) }?.collation
    }

    /// The relation that events of this shape point to.
    func relation(capture: Int64) -> Relation {
        let columns = columns.map { column in
            Column(
                name: column.name, type: .dynamic, typeName: column.declaredType, keyPosition: column.keyPosition,
                isNullable: column.isNullable)
        }
        return Relation(sourceID: UInt32(clamping: capture), schema: "main", name: name, columns: columns)
    }
}

/// Why a table is not captured.
struct TableRefusal: Error, Equatable {
    /// The code, as in ``ConnectorFailure``.
    var code: String
    var message: String
    var hint: String?
}

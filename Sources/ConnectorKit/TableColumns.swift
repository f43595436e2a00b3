/// A captured table as the database has it now: what a setting about columns can be checked against.
package struct TableColumns: Sendable, Equatable {
    /// The schema (`public`), or the SQLite database (`main`).
    package var schema: String
    /// The table's name.
    package var table: String
    /// The names of the captured columns.
    package var columns: [String]
    /// Those of them that identify a row.
    package var key: Set<String>

    /// A table of its parts.
    package init(schema: String, table: String, columns: [String], key: Set<String>) {
        self.schema = schema
        self.table = table
        self.columns = columns
        self.key = key
    }
}

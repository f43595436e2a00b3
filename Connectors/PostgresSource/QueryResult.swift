/// Rows of a catalogue query, all of them, as text.
struct QueryResult {
    var columns: [String]
    var rows: [[String?]]

    /// A row whose values are asked for by column name.
    struct Row {
        fileprivate var columns: [String]
        fileprivate var values: [String?]

        /// The text of a column; nil for NULL and for a column that is not there.
        subscript(name: String) -> String? {
            guard let index = columns.firstIndex(of: name), index < values.count else { return nil }
            return values[index]
        }

        /// The text of a column; empty for NULL.
        func text(_ name: String) -> String { self[name] ?? "" }
        /// The truth of a boolean column; false for NULL.
        func flag(_ name: String) -> Bool { self[name] == "t" }
        /// The number of an integer column.
        func integer(_ name: String) -> Int? { self[name].flatMap { Int($0) } }
    }

    /// The rows, one by one.
    var all: [Row] { rows.map { Row(columns: columns, values: $0) } }
    /// The first row.
    var first: Row? { rows.first.map { Row(columns: columns, values: $0) } }
}

/// SQL text built from names and values.
enum SQLText {
    /// An identifier in double quotes ("Identifiers and Key Words").
    static func identifier(_ name: String) -> String { "\"" + doubling("\"", in: name) + "\"" }

    /// `"schema"."table"`.
    static func identifier(schema: String, table: String) -> String { identifier(schema) + "." + identifier(table) }

    /// A string literal without escapes; the server has standard_conforming_strings on.
    static func literal(_ text: String) -> String { "'" + doubling("'", in: text) + "'" }

    private static func doubling(_ quote: Unicode.Scalar, in text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar == quote { result.unicodeScalars.append(quote) }
            result.unicodeScalars.append(scalar)
        }
        return result
    }
}

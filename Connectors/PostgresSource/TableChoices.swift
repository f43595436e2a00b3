internal import ConnectorKit

/// What the configuration wants of single tables: the list `choices`.
struct TableChoices: Sendable {
    /// One entry of the list.
    struct Entry: Sendable {
        var tables: [TablePattern]
        /// Only these columns; nil for all.
        var columns: [String]?
        /// Not these columns.
        var excludedColumns: [String]
        /// Only rows for which this condition is true; nil for all.
        var filter: String?
    }

    /// The entries in the order of the file.
    var entries: [Entry]

    static let setting = Setting(
        "choices",
        .groups([
            Setting("tables", .list, "The captured tables that the entry is for, as in `tables`.", isRequired: true),
            Setting(
                "columns", .list,
                "Only these columns, the key among them. From server 15 on the publication leaves the others out; a"
                    + " column that is added to the table later stays out until it is named here."),
            Setting(
                "exclude_columns", .list,
                "Not these columns. Millrace leaves them out as it reads; a column that is added to the table later is"
                    + " captured from its first row on."),
            Setting(
                "where", .text,
                "Only rows for which this SQL condition is true, from server 15 on, in the publication. When updates or"
                    + " deletes are published it may use columns of the replica identity only."),
        ]),
        "What of single tables is captured. An entry says all about its tables: the publication is given exactly its"
            + " columns and its condition, or neither.")

    init(_ groups: [SettingValues] = []) throws(SettingProblem) {
        var check = SettingCheck()
        entries = []
        for (index, group) in groups.enumerated() {
            let place = "choices[\(index)]"
            let named = group.list("tables") ?? []
            let tables = check.attempt { () throws(SettingProblem) in
                try PostgresSettings.patterns(named, "\(place).tables")
            }
            if named.isEmpty { check.note(SettingProblem("\(place).tables", "names no table")) }
            if group.list("columns")?.isEmpty ?? false {
                check.note(
                    SettingProblem(
                        "\(place).columns", "names no column",
                        hint: "name columns, or take the key out for all of them"))
            }
            if let filter = group.text("where"), filter.allSatisfy(\.isWhitespace) {
                check.note(
                    SettingProblem(
                        "\(place).where", "holds no condition", hint: "take the key out to capture every row"))
            }
            entries.append(
                Entry(
                    tables: tables ?? [], columns: group.list("columns"),
                    excludedColumns: group.list("exclude_columns") ?? [], filter: group.text("where")))
        }
        try check.finish()
    }

    /// What the entries together say about a table; nil when none is for it.
    func choice(schema: String, table: String) -> TableChoice? {
        var choice: TableChoice?
        for (index, entry) in entries.enumerated()
        where entry.tables.contains(where: { $0.matches(schema: schema, table: table) }) {
            var merged = choice ?? TableChoice()
            let isNamed = entry.tables.contains { $0.isLiteral && $0.matches(schema: schema, table: table) }
            merged.add(entry, number: index, isNamed: isNamed)
            choice = merged
        }
        return choice
    }
}

/// What is captured of one table.
struct TableChoice: Equatable, Sendable {
    /// Only these columns; nil for all.
    private(set) var columns: [String]?
    /// Not these.
    private(set) var excludedColumns: Set<String> = []
    /// Only the rows for which this condition is true; nil for all.
    private(set) var filter: String?
    /// Those of ``columns`` and ``excludedColumns`` that an entry says about this very table, so that they must exist.
    private(set) var namedColumns: Set<String> = []
    /// The setting that two entries both have for the table; nil when they agree.
    private(set) var conflict: String?
    /// The first entry that is for the table, by its place in the list.
    private(set) var entry = 0
    private var entryCount = 0

    fileprivate mutating func add(_ entry: TableChoices.Entry, number: Int, isNamed: Bool) {
        if entryCount == 0 { self.entry = number }
        entryCount += 1
        if columns != nil && entry.columns != nil { conflict = "columns" }
        if filter != nil && entry.filter != nil { conflict = "where" }
        columns = columns ?? entry.columns
        filter = filter ?? entry.filter
        excludedColumns.formUnion(entry.excludedColumns)
        namedColumns.formUnion(entry.columns ?? [])
        if isNamed { namedColumns.formUnion(entry.excludedColumns) }
    }

    /// Columns that are to be left out and were there once need not be there any more.
    mutating func forgive(_ known: Set<String>) {
        namedColumns.subtract(known.intersection(excludedColumns).subtracting(columns ?? []))
    }

    /// True when the column is captured.
    func keeps(_ column: String) -> Bool {
        !excludedColumns.contains(column) && (columns?.contains(column) ?? true)
    }
}

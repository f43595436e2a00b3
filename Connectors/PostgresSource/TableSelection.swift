internal import ConnectorKit

/// The tables that the configuration means, as the database has them now.
struct TableSelection {
    /// A table that can be published.
    struct Table: Equatable {
        /// Its oid, which a rename keeps.
        var id: UInt32
        var schema: String
        var name: String
        /// True when UPDATE and DELETE would still work once it is published: it, or each of its partitions, has a key
        /// or sends whole rows.
        var hasReplicaIdentity: Bool
        /// The statements that would give it, or its partitions that lack one, a replica identity; the first few.
        var identityFix: String
        /// True when other tables inherit from it, which is no partitioning.
        var hasChildren: Bool
        /// True for a partitioned table, whose changes arrive under its own name.
        var isPartitioned: Bool
        /// True when the role owns it, which adding it to a publication takes.
        var isOwned: Bool
        /// True when the role may read it, which a snapshot takes.
        var isReadable: Bool
        /// True when row level security would keep rows of it from the role, which no snapshot puts up with.
        var hidesRows: Bool
        /// The oids of the partitioned tables that it is a part of.
        var ancestors: [String]
        /// What the configuration says about it; nil for nothing.
        var choice: TableChoice?

        var qualifiedName: String { schema + "." + name }
        var identifier: String { SQLText.identifier(schema: schema, table: name) }
        /// True when the role may not read all of its rows.
        var lacksRows: Bool { !isReadable || hidesRows }
    }

    /// What is to be captured, sorted by name. A partition whose root is captured is not listed again.
    var tables: [Table]
    /// What of the configuration has no effect, other than names of single tables.
    var idlePatterns: [String] = []

    /// Looks the tables up. Throws when a named table does not exist or cannot be published, or when nothing matches at
    /// all. `isRunning`: the stream runs on without them, so that nothing is refused.
    init(_ settings: PostgresSettings, _ side: SideConnection, isRunning: Bool = false) throws(ConnectorFailure) {
        let candidates = try side.query(Self.query).all
        let matching = candidates.filter { settings.captures(schema: $0.text("schema"), table: $0.text("name")) }
        let usable = matching.filter { $0["obstacle"] == nil }
        let roots = Set(usable.map { $0.text("oid") })
        tables = usable.filter { !$0.isPartition(ofOneOf: roots) }.map { Self.table($0, settings.choices) }
        if isRunning { return }
        try Self.checkNames(settings, candidates, matching)
        if usable.isEmpty { throw PostgresFailure.noTables(settings.tables.map(\.text)) }
        idlePatterns = settings.tables.filter { pattern in !usable.contains { pattern.matches($0) } }.map {
            "no table matches \($0.text)"
        }
        try checkExclusions(settings.excluded, candidates, roots)
        try checkChoices(settings.choices, candidates, roots)
    }

    private static func checkNames(
        _ settings: PostgresSettings, _ candidates: [QueryResult.Row], _ matching: [QueryResult.Row]
    ) throws(ConnectorFailure) {
        let missing = settings.tables.filter { pattern in
            pattern.isLiteral && !candidates.contains { pattern.matches($0) }
        }.map(\.text)
        if !missing.isEmpty { throw PostgresFailure.tableMissing(missing) }
        for row in matching where row["obstacle"] != nil {
            if settings.tables.contains(where: { $0.isLiteral && $0.matches(row) }) {
                throw PostgresFailure.tableUnsupported(
                    row.text("schema") + "." + row.text("name"), row.text("obstacle"))
            }
        }
    }

    /// Takes from choices what a run that goes on need not find: columns that are left out, and were dropped since.
    mutating func forgive(_ memory: PublicationMemory?) {
        for index in tables.indices {
            guard let known = memory?.tables[tables[index].id] else { continue }
            tables[index].choice?.forgive(known.excluded.union(known.lacking))
        }
    }

    /// The server sends partitions under the name of their root, whatever is excluded.
    private mutating func checkExclusions(
        _ patterns: [TablePattern], _ candidates: [QueryResult.Row], _ roots: Set<String>
    ) throws(ConnectorFailure) {
        for (index, pattern) in patterns.enumerated() {
            let matching = candidates.filter { pattern.matches($0) }
            if matching.isEmpty { idlePatterns.append("no table matches \(pattern.text), which is to be left out") }
            let partition = matching.first { $0.isPartition(ofOneOf: roots) }
            guard let name = partition.map({ $0.text("schema") + "." + $0.text("name") }) else { continue }
            let why = "\(name) is a partition of a captured table, whose changes arrive under the name of their root"
            if pattern.isLiteral {
                throw PostgresFailure.choiceUnused(
                    pattern.text, why, setting: "\(PostgresFailure.excludeSetting)[\(index)]")
            }
            idlePatterns.append("\(pattern.text) does not leave everything out: \(why)")
        }
    }

    private mutating func checkChoices(
        _ choices: TableChoices, _ candidates: [QueryResult.Row], _ roots: Set<String>
    ) throws(ConnectorFailure) {
        for (index, entry) in choices.entries.enumerated() {
            for pattern in entry.tables
            where !tables.contains(where: { pattern.matches(schema: $0.schema, table: $0.name) }) {
                let isPartition = candidates.contains { pattern.matches($0) && $0.isPartition(ofOneOf: roots) }
                let why =
                    isPartition
                    ? "it is a partition of a captured table; name the root" : "no captured table has this name"
                if pattern.isLiteral {
                    throw PostgresFailure.choiceUnused(
                        pattern.text, why, setting: "\(PostgresFailure.choicesSetting)[\(index)]")
                }
                idlePatterns.append("no captured table matches \(pattern.text) of \(PostgresFailure.choicesSetting)")
            }
        }
    }

    private static func table(_ row: QueryResult.Row, _ choices: TableChoices?) -> Table {
        Table(
            id: UInt32(row.text("oid")) ?? 0, schema: row.text("schema"), name: row.text("name"),
            hasReplicaIdentity: row.flag("has_identity"), identityFix: row["identity_fix"] ?? "",
            hasChildren: row.flag("has_children"), isPartitioned: row.text("kind") == "p",
            isOwned: row.flag("is_owned"), isReadable: row.flag("is_readable"),
            hidesRows: row.flag("hides_rows"), ancestors: row.ancestors,
            choice: choices?.choice(schema: row.text("schema"), table: row.text("name")))
    }

    /// All tables, views and foreign tables outside of the system's schemas; `obstacle` says why one cannot be
    /// published.
    ///
    /// A relation's identity counts for itself when it holds rows, and by its leaves when it is partitioned.
    private static let query = """
        WITH identity AS (
            SELECT c.oid, CASE c.relreplident
                WHEN 'f' THEN true
                WHEN 'd' THEN EXISTS (SELECT FROM pg_catalog.pg_index i
                    WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate)
                WHEN 'i' THEN EXISTS (SELECT FROM pg_catalog.pg_index i
                    WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid)
                ELSE false END AS has_identity,
                'ALTER TABLE "' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""')
                    || '" REPLICA IDENTITY ' || CASE WHEN c.relreplident <> 'd' AND EXISTS (
                        SELECT FROM pg_catalog.pg_index i
                        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate)
                    THEN 'DEFAULT;' ELSE 'FULL;' END AS fix
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r')
        SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
            CASE WHEN c.relkind = 'p' THEN NOT EXISTS (
                    SELECT FROM pg_catalog.pg_partition_tree(c.oid) t JOIN identity i ON i.oid = t.relid
                    WHERE t.isleaf AND NOT i.has_identity)
                ELSE (SELECT i.has_identity FROM identity i WHERE i.oid = c.oid) END AS has_identity,
            (SELECT pg_catalog.string_agg(f.fix, ' ') FROM (
                SELECT i.fix FROM identity i WHERE NOT i.has_identity AND (i.oid = c.oid OR c.relkind = 'p'
                    AND i.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t))
                ORDER BY i.oid LIMIT 10) f) AS identity_fix,
            c.relkind = 'r' AND c.relhassubclass AS has_children,
            CASE WHEN c.relkind IN ('v', 'm') THEN 'a view'
                WHEN c.relkind = 'f' THEN 'a foreign table'
                WHEN c.relpersistence = 'u' THEN 'an unlogged table' END AS obstacle,
            CASE WHEN c.relispartition THEN (SELECT pg_catalog.string_agg(a.relid::pg_catalog.oid::pg_catalog.text, ' ')
                FROM pg_catalog.pg_partition_ancestors(c.oid) a WHERE a.relid <> c.oid) END AS ancestors,
            pg_catalog.pg_has_role(c.relowner, 'USAGE') AS is_owned,
            pg_catalog.has_table_privilege(c.oid, 'SELECT')
                AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS is_readable,
            c.relrowsecurity AND pg_catalog.row_security_active(c.oid) AS hides_rows
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
            AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        ORDER BY 2, 3
        """
}

// MARK: - Reading

extension TableSelection {
    /// Finds tables by their oids, which are the argument, and what the role that asks lacks to read them.
    static let readingQuery =
        "SELECT q.*, current_user AS role FROM (\(query)) q WHERE q.oid = ANY ($1::pg_catalog.oid[])"

    /// The argument of ``readingQuery``.
    static func array(_ ids: [UInt32]) -> String { "{\(ids.map(String.init).joined(separator: ","))}" }

    /// Why the role may not read all rows of the tables that ``readingQuery`` found; nil when it may.
    static func obstacle(_ found: QueryResult) -> ConnectorFailure? {
        let unreadable = found.all.map { table($0, nil) }.filter(\.lacksRows)
        guard !unreadable.isEmpty, let role = found.first?.text("role") else { return nil }
        return PostgresFailure.notReadable(unreadable, role: role)
    }
}

extension TablePattern {
    fileprivate func matches(_ row: QueryResult.Row) -> Bool {
        matches(schema: row.text("schema"), table: row.text("name"))
    }
}

extension QueryResult.Row {
    fileprivate var ancestors: [String] { text("ancestors").split(separator: " ").map(String.init) }

    fileprivate func isPartition(ofOneOf roots: Set<String>) -> Bool { ancestors.contains { roots.contains($0) } }
}

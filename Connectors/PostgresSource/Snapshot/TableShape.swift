/// A table as a chunk's transaction has it: what the publication sends of it, and how its rows are found by their key.
struct TableShape {
    /// A column of the key, in the order of its index.
    struct KeyColumn: Equatable {
        /// Its place among the columns that are captured.
        var column: Int
        var name: String
        /// With its modifier, as it stands behind `::`.
        var type: String
        /// The collation's oid; 0 for none.
        var collation: String
        /// The index's own operators with their schemas, because an empty search_path finds those of no extension.
        var less: String
        var lessOrEqual: String
        var equal: String
        var greaterOrEqual: String
        var greater: String
    }

    /// What the transaction sees.
    var snapshot: ServerSnapshot
    var schema: String
    var name: String
    var isPartitioned: Bool
    /// True when row level security would keep rows from the role.
    var hidesRows: Bool
    /// How many rows there are, as the server's statistics have it.
    var estimate: UInt64
    var byteCount: UInt64
    /// The publication's row filter; nil for none.
    var filter: String?
    /// The announcement that pgoutput would send.
    var message: RelationMessage
    /// The columns that are captured, of those that are published.
    var columns: [String]
    /// Empty when rows cannot be found by a key.
    var key: [KeyColumn]

    /// The key's columns among those that are published, in the order of the table.
    var keyColumns: [Int] { key.map(\.column).sorted() }

    /// Tells one key from another.
    var keyText: String { key.map { "\($0.name) \($0.type) \($0.collation) \($0.less)" }.joined(separator: ", ") }

    /// The SQL that has a connection know the question to the catalogue: to plan it takes longer than to answer it.
    static func preparation(_ connection: PostgresConnection) -> String {
        let published = connection.serverVersion >= 150_000 ? publishedSince15 : publishedBefore15
        return "SET plan_cache_mode TO force_generic_plan; PREPARE \(statement) (pg_catalog.oid, pg_catalog.text, "
            + "pg_catalog.bool) AS WITH p AS (\(published)) \(query)"
    }

    /// The question to the catalogue, for a chunk's transaction on a connection that is prepared.
    static func request(_ table: UInt32, _ settings: PostgresSettings, _ connection: PostgresConnection) -> String {
        let publication = SQLText.literal(settings.publication)
        return "EXECUTE \(statement) (\(table), \(publication), \(connection.serverVersion >= 180_000))"
    }

    private static let statement = "millrace_table"

    /// Reads the answer; nil when the table is gone or not published.
    init?(_ rows: [QueryResult.Row], _ table: UInt32, _ choices: TableChoices) throws(ServerError) {
        guard let first = rows.first else { return nil }
        guard let snapshot = first["snapshot"].flatMap({ ServerSnapshot($0) }),
            let identity = first.text("relreplident").utf8.first.flatMap({
                RelationMessage.ReplicaIdentity(rawValue: $0)
            })
        else { throw ServerError(sqlState: nil, message: "the catalogue's answer about a table is incomplete") }
        self.snapshot = snapshot
        schema = first.text("nspname")
        name = first.text("relname")
        isPartitioned = first.text("relkind") == "p"
        hidesRows = first.flag("hides_rows")
        estimate = UInt64(max(0, first.integer("estimate") ?? 0))
        byteCount = UInt64(max(0, first.integer("bytes") ?? 0))
        filter = first["filter"]
        let columns = rows.filter { $0["attname"] != nil }
        message = RelationMessage(
            relationID: table, namespace: schema, relationName: name, replicaIdentity: identity,
            columns: columns.map { row in
                let isKey = identity == .full || (identity != .nothing && row["place"] != nil)
                return RelationMessage.Column(
                    isKey: isKey, name: row.text("attname"), typeID: UInt32(row.text("atttypid")) ?? 0,
                    typeModifier: Int32(row.text("atttypmod")) ?? -1)
            })
        let choice = choices.choice(schema: schema, table: name)
        let captured = columns.filter { choice?.keeps($0.text("attname")) ?? true }
        self.columns = captured.map { $0.text("attname") }
        key = Self.key(captured)
    }

    /// The key in the order of its index; empty unless all of it is published and has a btree's operators.
    private static func key(_ columns: [QueryResult.Row]) -> [KeyColumn] {
        var key: [(place: Int, column: KeyColumn)] = []
        for (index, row) in columns.enumerated() {
            guard let place = row.integer("place") else { continue }
            guard let less = row["less"], let lessOrEqual = row["less_or_equal"], let equal = row["equal"],
                let greaterOrEqual = row["greater_or_equal"], let greater = row["greater"]
            else { return [] }
            let column = KeyColumn(
                column: index, name: row.text("attname"), type: row.text("type"),
                collation: row.text("attcollation"), less: less, lessOrEqual: lessOrEqual,
                equal: equal, greaterOrEqual: greaterOrEqual, greater: greater)
            key.append((place, column))
        }
        let expected = columns.compactMap { $0.integer("key_width") }.first ?? 0
        return key.count == expected ? key.sorted { $0.place < $1.place }.map(\.column) : []
    }

    private static let publishedSince15 = """
        SELECT g.attrs, pg_catalog.pg_get_expr(g.qual, g.relid) AS filter
        FROM pg_catalog.pg_get_publication_tables($2) g WHERE g.relid = $1::pg_catalog.oid
        """
    private static let publishedBefore15 = """
        SELECT NULL::pg_catalog.int2vector AS attrs, NULL::pg_catalog.text AS filter
        FROM pg_catalog.pg_get_publication_tables($2) g WHERE g.relid = $1::pg_catalog.oid
        """

    /// One row for each published column; the table's own facts stand in each of them.
    private static let query = """
        SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot, n.nspname, c.relname, c.relkind,
            c.relreplident, c.relrowsecurity AND pg_catalog.row_security_active(c.oid) AS hides_rows,
            p.filter, a.attname, a.atttypid, a.atttypmod,
            a.attcollation, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, size.estimate, size.bytes, k.*
        FROM p CROSS JOIN pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT sum(greatest(l.reltuples, 0))::pg_catalog.int8 AS estimate,
                sum(pg_catalog.pg_relation_size(l.oid))::pg_catalog.int8 AS bytes
            FROM pg_catalog.pg_class l WHERE l.oid = c.oid AND c.relkind <> 'p'
                OR c.relkind = 'p' AND l.relkind <> 'p'
                    AND l.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t)) size
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND CASE WHEN p.attrs IS NULL THEN a.attgenerated = ''
                ELSE a.attnum = ANY (p.attrs) AND (a.attgenerated = '' OR $3::pg_catalog.bool) END
        LEFT JOIN LATERAL (
            SELECT s.n AS place, i.indnkeyatts AS key_width,
                max(o.name) FILTER (WHERE o.strategy = 1) AS less,
                max(o.name) FILTER (WHERE o.strategy = 2) AS less_or_equal,
                max(o.name) FILTER (WHERE o.strategy = 3) AS equal,
                max(o.name) FILTER (WHERE o.strategy = 4) AS greater_or_equal,
                max(o.name) FILTER (WHERE o.strategy = 5) AS greater
            FROM pg_catalog.pg_index i CROSS JOIN pg_catalog.generate_series(0, i.indnkeyatts - 1) s(n)
            JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[s.n]
            CROSS JOIN LATERAL (
                SELECT ao.amopstrategy AS strategy,
                    'OPERATOR(' || pg_catalog.quote_ident(os.nspname) || '.' || op.oprname || ')' AS name
                FROM pg_catalog.pg_amop ao JOIN pg_catalog.pg_operator op ON op.oid = ao.amopopr
                JOIN pg_catalog.pg_namespace os ON os.oid = op.oprnamespace
                WHERE ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype
                    AND ao.amoprighttype = oc.opcintype AND ao.amoppurpose = 's') o
            WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[s.n] = a.attnum
                AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate
                    WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
            GROUP BY s.n, i.indnkeyatts) k ON true
        WHERE c.oid = $1::pg_catalog.oid ORDER BY a.attnum
        """
}

extension RelationMessage {
    /// The announcement of its parts.
    init(
        relationID: UInt32, namespace: String, relationName: String, replicaIdentity: ReplicaIdentity,
        columns: [Column]
    ) {
        self.relationID = relationID
        self.namespace = namespace
        self.relationName = relationName
        self.replicaIdentity = replicaIdentity
        self.columns = columns
    }

    /// True when both tell the same table. What they tell about types is left out: the catalogue's answer has none of
    /// it.
    func isAlike(_ other: RelationMessage) -> Bool {
        relationID == other.relationID && namespace == other.namespace && relationName == other.relationName
            && replicaIdentity == other.replicaIdentity && columns == other.columns
    }
}

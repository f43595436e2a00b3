internal import ConnectorKit

/// The publication as the database has it.
struct PublicationState: Equatable {
    /// A table that the publication names itself.
    struct Member: Equatable {
        /// Only these columns; nil for all.
        var columns: [String]?
        /// Only rows for which this is true, in the server's own spelling; nil for all.
        var filter: String?
    }

    /// A published table.
    struct Name: Equatable {
        /// `schema.table`.
        var text: String
        /// The same as statements have it.
        var reference: String
    }

    /// True when the publication exists.
    var exists: Bool
    var isOwned = false
    /// FOR ALL TABLES: made by somebody else, never by Millrace.
    var holdsAllTables = false
    /// FOR TABLES IN SCHEMA (server 15): likewise.
    var schemas: Set<String> = []
    /// Its row in the catalogue; nil when it does not exist.
    var row: PublicationMemory.Row?
    /// True when the row was written before everything that the slot has still to send, or when there is no slot. False
    /// also when that cannot be known.
    var isSettled = true
    /// True when changes of partitions arrive under the name of their root.
    var sendsPartitionsAsRoot = false
    /// The operations that it leaves out.
    var unpublished: [String] = []
    /// What it publishes, in whatever way, as `schema.table`.
    var tables: Set<String> = []
    /// The oids of ``tables`` with their names.
    var tableNames: [String: Name] = [:]
    /// The tables that it names, by `schema.table`.
    var members: [String: Member] = [:]

    /// Asks for the publication; `slot` is the one whose changes it is to decode.
    init(_ name: String, slot: String? = nil, _ side: SideConnection) throws(ConnectorFailure) {
        guard let row = try side.query(Self.query, [name, slot ?? ""]).first else {
            exists = false
            return
        }
        exists = true
        if let oid = UInt32(row.text("oid")), let writer = UInt32(row.text("writer")) {
            self.row = PublicationMemory.Row(oid: oid, writer: writer)
        }
        isSettled = row.flag("is_settled")
        isOwned = row.flag("is_owned")
        holdsAllTables = row.flag("puballtables")
        sendsPartitionsAsRoot = row.flag("pubviaroot")
        unpublished = ["insert", "update", "delete", "truncate"].filter { !row.flag("pub" + $0) }
        for row in try side.query(Self.tablesQuery, [name]).all {
            tables.insert(row.text("name"))
            tableNames[row.text("oid")] = Name(text: row.text("name"), reference: row.text("reference"))
        }
        try readMembers(name, hasFilters: (row.integer("version") ?? 0) >= 150_000, side)
    }

    /// A publication of these parts.
    init(exists: Bool, members: [String: Member] = [:]) {
        self.exists = exists
        self.members = members
        tables = Set(members.keys)
    }

    /// True when UPDATE or DELETE of its tables is published, for which the server demands a replica identity.
    var needsReplicaIdentity: Bool { !exists || !(unpublished.contains("update") && unpublished.contains("delete")) }

    /// The published table under whose name the changes of a partition arrive that is not published by itself; nil for
    /// a table whose changes arrive under its own.
    func root(hiding table: TableSelection.Table) -> Name? {
        guard sendsPartitionsAsRoot, !tables.contains(table.qualifiedName) else { return nil }
        return table.ancestors.compactMap { tableNames[$0] }.first
    }

    /// True when the table is published without being named, so that it can have neither columns nor a condition.
    func publishesAsAWhole(schema: String) -> Bool { holdsAllTables || schemas.contains(schema) }

    private mutating func readMembers(_ name: String, hasFilters: Bool, _ side: SideConnection) throws(ConnectorFailure)
    {
        for row in try side.query(hasFilters ? Self.membersQuery : Self.plainMembersQuery, [name]).all {
            var member = members[row.text("name")] ?? Member(filter: row["filter"])
            if let column = row["column_name"] { member.columns = (member.columns ?? []) + [column] }
            members[row.text("name")] = member
        }
        guard hasFilters else { return }
        schemas = Set(try side.query(Self.schemasQuery, [name]).all.map { $0.text("nspname") })
    }

    /// A slot keeps the catalogue of all transactions from `catalog_xmin` on, which none of its changes is older than.
    private static let query = """
        SELECT *, xmin AS writer, pg_catalog.pg_has_role(pubowner, 'USAGE') AS is_owned,
            pg_catalog.current_setting('server_version_num') AS version,
            NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $2
                AND pg_catalog.age(s.catalog_xmin) >= pg_catalog.age(p.xmin)) AS is_settled
        FROM pg_catalog.pg_publication p WHERE pubname = $1
        """
    private static let tablesQuery = """
        SELECT c.oid, t.schemaname || '.' || t.tablename AS name,
            pg_catalog.quote_ident(t.schemaname) || '.' || pg_catalog.quote_ident(t.tablename) AS reference
        FROM pg_catalog.pg_publication_tables t
        JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
        WHERE t.pubname = $1
        """
    /// A row for each column of a column list.
    private static let membersQuery = """
        SELECT n.nspname || '.' || c.relname AS name, pg_catalog.pg_get_expr(r.prqual, r.prrelid) AS filter,
            a.attname AS column_name
        FROM pg_catalog.pg_publication p
        JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
        JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (r.prattrs)
        WHERE p.pubname = $1 ORDER BY 1, a.attnum
        """
    private static let plainMembersQuery = """
        SELECT n.nspname || '.' || c.relname AS name
        FROM pg_catalog.pg_publication p
        JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
        JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE p.pubname = $1
        """
    private static let schemasQuery = """
        SELECT n.nspname FROM pg_catalog.pg_publication p
        JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = p.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid
        WHERE p.pubname = $1
        """
}

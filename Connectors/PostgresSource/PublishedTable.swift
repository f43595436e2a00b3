internal import ConnectorKit

/// A table as the publication should have it.
struct PublishedTable: Equatable {
    var schema: String
    var name: String
    /// True when tables inherit from it: they are published by themselves or not at all.
    var hasChildren = false
    /// Only these columns are sent, in the order of the table; nil for all.
    var columns: [String]?
    /// Only rows for which this is true are sent, in the server's own spelling; nil for all.
    var filter: String?
    /// True when the configuration says what of the table is captured, so that columns and condition of the publication
    /// must be exactly these. Otherwise they are somebody else's choice and stay.
    var isChosen = false
    /// Why Millrace leaves columns out itself although the server could; nil when it does not.
    var projection: String?

    var qualifiedName: String { schema + "." + name }

    /// The table alone, as it stands in ALTER PUBLICATION … DROP TABLE.
    var reference: String { (hasChildren ? "ONLY " : "") + SQLText.identifier(schema: schema, table: name) }

    /// The table as it stands in CREATE or ALTER PUBLICATION.
    var clause: String {
        var text = reference
        if let columns { text += " (" + columns.map { SQLText.identifier($0) }.joined(separator: ", ") + ")" }
        if let filter { text += " WHERE (\(filter))" }
        return text
    }
}

// MARK: - Looking it up

extension PublishedTable {
    /// The table with what the configuration says about it. Throws when that would break the application's writes,
    /// when the server cannot do it, or when it means nothing.
    init(
        _ table: TableSelection.Table, in publication: PublicationState, _ version: Int, _ side: SideConnection
    ) throws(ConnectorFailure) {
        schema = table.schema
        name = table.name
        hasChildren = table.hasChildren
        guard let choice = table.choice else { return }
        isChosen = true
        if let setting = choice.conflict { throw PostgresFailure.choiceConflict(table, setting) }
        let content = try TableContent(table, side)
        try content.check(choice, of: table)
        if let text = choice.filter {
            try Self.checkFilterIsPossible(table, publication, version)
            let condition = try FilterCondition(text, table, side)
            if publication.needsReplicaIdentity { try content.check(condition, of: table) }
            filter = condition.text
        }
        guard choice.columns != nil else { return }
        if version < 150_000 {
            projection = "the server is PostgreSQL \(version / 10_000), and column lists need 15"
        } else if content.isFull {
            projection = "its replica identity is FULL, which the server refuses beside a column list"
        } else if publication.holdsAllTables || !publication.schemas.isEmpty {
            projection = "the publication is FOR ALL TABLES or FOR TABLES IN SCHEMA, which takes no column list"
        } else {
            columns = content.columns.filter(choice.keeps)
        }
    }

    private static func checkFilterIsPossible(
        _ table: TableSelection.Table, _ publication: PublicationState, _ version: Int
    ) throws(ConnectorFailure) {
        if version < 150_000 {
            throw PostgresFailure.whereUnavailable(
                table, "the server is PostgreSQL \(version / 10_000), and conditions in publications need 15",
                hint: "take the condition out, or upgrade the server")
        }
        if publication.publishesAsAWhole(schema: table.schema) {
            throw PostgresFailure.whereUnavailable(
                table, "the publication holds the table by FOR ALL TABLES or FOR TABLES IN SCHEMA, without conditions",
                hint: "name another publication, which Millrace then makes, or take the condition out")
        }
    }
}

/// A table's columns and the replica identities of whatever holds its rows.
struct TableContent {
    /// The replica identity of a table or of one of its partitions.
    struct Identity: Equatable {
        var table: String
        var isFull: Bool
        /// The columns of the identity; under FULL those of the primary key.
        var columns: Set<String> = []
    }

    /// The captured columns' candidates in the order of the table.
    var columns: [String] = []
    var identities: [Identity] = []

    /// True when a whole old row is sent for a part of the table at least.
    var isFull: Bool { identities.contains(where: \.isFull) }

    init(_ table: TableSelection.Table, _ side: SideConnection) throws(ConnectorFailure) {
        columns = try side.query(Self.columnsQuery, [String(table.id)]).all.map { $0.text("attname") }
        for row in try side.query(Self.identityQuery, [String(table.id)]).all {
            if identities.last?.table != row.text("name") {
                identities.append(Identity(table: row.text("name"), isFull: row.flag("is_full")))
            }
            if let column = row["attname"] { identities[identities.count - 1].columns.insert(column) }
        }
    }

    /// Columns that are not there mean a mistake, and a missing key would fail the application's UPDATE and DELETE.
    func check(_ choice: TableChoice, of table: TableSelection.Table) throws(ConnectorFailure) {
        let missing = choice.namedColumns.subtracting(columns).sorted()
        if !missing.isEmpty { throw PostgresFailure.columnMissing(table, missing) }
        for identity in identities {
            let lacking = identity.columns.filter { !choice.keeps($0) }.sorted()
            if !lacking.isEmpty { throw PostgresFailure.columnsLackKey(table, lacking) }
        }
    }

    /// The server cannot look at columns of an old row that it does not send.
    func check(_ condition: FilterCondition, of table: TableSelection.Table) throws(ConnectorFailure) {
        for identity in identities where !identity.isFull {
            let beyond = condition.columns.subtracting(identity.columns).sorted()
            if !beyond.isEmpty { throw PostgresFailure.whereBeyondKey(table, beyond, of: identity.table) }
        }
    }

    private static let columnsQuery = """
        SELECT attname FROM pg_catalog.pg_attribute
        WHERE attrelid = $1::pg_catalog.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        """
    /// A row for each column of the identity, of the table itself when it has no partitions, and of each leaf.
    private static let identityQuery = """
        SELECT n.nspname || '.' || c.relname AS name, c.relreplident = 'f' AS is_full, a.attname
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid
            AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
            AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
        WHERE c.oid = $1::pg_catalog.oid AND c.relkind = 'r'
            OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid) t WHERE t.isleaf)
            OR c.oid = $1::pg_catalog.oid AND c.relreplident = 'd'
        ORDER BY c.oid, a.attnum
        """
}

/// A condition as the server understands it.
struct FilterCondition: Equatable {
    /// The server's own spelling, which is also how it shows the condition of a publication.
    var text: String
    /// The columns that it uses.
    var columns: Set<String> = []

    /// Lets the server read the condition, as a constraint of a temporary table that is gone at once.
    init(_ written: String, _ table: TableSelection.Table, _ side: SideConnection) throws(ConnectorFailure) {
        let rows: [QueryResult.Row]
        do throws(ConnectorFailure) {
            rows = try side.query(Self.query(written, table.identifier)).all
        } catch {
            if error.code == "postgres.read_only" {
                throw PostgresFailure.whereUnavailable(
                    table, "the session may not write, so that the server cannot say what the condition means",
                    hint: "on a standby take the condition out here: the one that the publication has on the primary "
                        + "holds; on a primary default_transaction_read_only is on for the role or the database")
            }
            guard ["postgres.server_error", "postgres.unsupported"].contains(error.code) else { throw error }
            throw PostgresFailure.whereInvalid(table, error.message)
        }
        guard let spelling = rows.first?["filter"] else {
            throw PostgresFailure.whereInvalid(table, "the server does not take it for a condition")
        }
        text = spelling
        columns = Set(rows.compactMap { $0["attname"] })
    }

    /// Several statements in one message are one transaction.
    private static func query(_ written: String, _ table: String) -> String {
        """
        CREATE TEMPORARY TABLE millrace_condition (LIKE \(table), CONSTRAINT millrace_condition CHECK (
        \(written)
        )) ON COMMIT DROP;
        SELECT pg_catalog.pg_get_expr(o.conbin, o.conrelid) AS filter, a.attname
        FROM pg_catalog.pg_constraint o
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = ANY (o.conkey)
        WHERE o.conname = 'millrace_condition' AND o.conrelid = 'pg_temp.millrace_condition'::pg_catalog.regclass;
        """
    }
}

internal import ConnectorKit

/// One look at the publication: what the catalogue says about it and about the tables that matter.
struct PublicationLook {
    let state: PublicationState
    let selection: TableSelection
    let now: PublicationReview.Now

    /// Asks the catalogue. `memory` names tables that are asked about although nobody wants them any more. `isRunning`:
    /// named tables may be gone, which the review says.
    init(
        _ settings: PostgresSettings, _ side: SideConnection, version: Int, memory: PublicationMemory?,
        isRunning: Bool = false
    ) throws(ConnectorFailure) {
        var selection = try TableSelection(settings, side, isRunning: isRunning)
        selection.forgive(memory)
        self.selection = selection
        state = try PublicationState(settings.publication, slot: settings.slot, side)
        let ids = Set(selection.tables.map(\.id)).union(memory?.tables.keys.map { $0 } ?? [])
        let rows = try side.query(
            Self.query(version), [settings.publication, "{\(ids.sorted().map(String.init).joined(separator: ","))}"])
        var (names, memberships) = ([UInt32: String](), [UInt32: Set<String>]())
        for row in rows.all {
            guard let id = row.integer("oid").flatMap({ UInt32(exactly: $0) }) else { continue }
            names[id] = row.text("schema") + "." + row.text("name")
            memberships[id] = Set(row.text("memberships").split(separator: " ").map(String.init))
        }
        let all: Set<String> = ["insert", "update", "delete", "truncate"]
        now = PublicationReview.Now(
            operations: all.subtracting(state.unpublished), names: names, memberships: memberships,
            excluded: try Self.excluded(selection, side), row: state.row, isSettled: state.isSettled)
    }

    /// The columns that are to be left out and are there, by oid.
    private static func excluded(
        _ selection: TableSelection, _ side: SideConnection
    ) throws(ConnectorFailure) -> [UInt32: Set<String>] {
        let choosing = selection.tables.filter { !($0.choice?.excludedColumns ?? []).isEmpty }
        if choosing.isEmpty { return [:] }
        let names = Set(choosing.flatMap { $0.choice?.excludedColumns ?? [] }).sorted().map { SQLText.literal($0) }
        let rows = try side.query(
            """
            SELECT a.attrelid AS oid, a.attname FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
                AND a.attname IN (\(names.joined(separator: ", ")))
            """, ["{\(choosing.map { String($0.id) }.joined(separator: ","))}"])
        var excluded: [UInt32: Set<String>] = [:]
        for row in rows.all { excluded[UInt32(row.text("oid")) ?? 0, default: []].insert(row.text("attname")) }
        for table in choosing { excluded[table.id]?.formIntersection(table.choice?.excludedColumns ?? []) }
        return excluded
    }

    /// The wanted partitions whose changes arrive under the name of a root that is published too, with that name.
    var hidden: [(table: TableSelection.Table, root: PublicationState.Name)] {
        selection.tables.compactMap { table in state.root(hiding: table).map { (table, $0) } }
    }

    /// What became of it since `memory`. Partitions that are hidden are not published, whatever has them as a member.
    func review(_ memory: PublicationMemory?) -> PublicationReview {
        PublicationReview(
            memory, now,
            wanted: selection.tables.filter { state.root(hiding: $0) == nil }.map {
                PublicationReview.Wanted(
                    id: $0.id, name: $0.qualifiedName, hasReplicaIdentity: $0.hasReplicaIdentity,
                    excluded: $0.choice?.excludedColumns ?? [])
            })
    }

    /// The tables of the selection with these ids.
    func tables(_ wanted: [PublicationReview.Wanted]) -> [TableSelection.Table] {
        let ids = Set(wanted.map(\.id))
        return selection.tables.filter { ids.contains($0.id) }
    }

    /// Tables by oid with what makes them members: their own row, that of an ancestor, of a schema, or of all tables.
    /// Whole schemas are published from server 15 on.
    private static func query(_ version: Int) -> String {
        let schemas = """
            UNION ALL SELECT 's' || s.oid FROM pg_catalog.pg_publication_namespace s
                JOIN pg_catalog.pg_class a ON a.relnamespace = s.pnnspid
                WHERE s.pnpubid = p.oid AND a.oid = ANY (t.line)
            """
        return """
            SELECT t.oid, t.schema, t.name, (
                SELECT pg_catalog.string_agg(m.id, ' ') FROM pg_catalog.pg_publication p, LATERAL (
                    SELECT 'a' || p.oid AS id WHERE p.puballtables
                    UNION ALL SELECT 'r' || r.oid FROM pg_catalog.pg_publication_rel r
                        WHERE r.prpubid = p.oid AND r.prrelid = ANY (t.line)
                    \(version >= 150_000 ? schemas : "")) m
                WHERE p.pubname = $1) AS memberships
            FROM (SELECT c.oid, n.nspname AS schema, c.relname AS name,
                    CASE WHEN c.relispartition
                        THEN ARRAY(SELECT a.relid::pg_catalog.oid FROM pg_catalog.pg_partition_ancestors(c.oid) a)
                        ELSE ARRAY[c.oid] END AS line
                FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE c.oid = ANY ($2::pg_catalog.oid[]) AND c.relkind IN ('r', 'p')) t
            """
    }
}

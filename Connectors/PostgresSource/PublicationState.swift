internal import ConnectorKit

/// The publication as the database has it.
struct PublicationState {
    /// True when the publication exists.
    var exists: Bool
    var isOwned = false
    /// FOR ALL TABLES: made by somebody else, never by Millrace.
    var holdsAllTables = false
    /// True when changes of partitions arrive under the name of their root.
    var sendsPartitionsAsRoot = false
    /// The operations that it leaves out.
    var unpublished: [String] = []
    /// What it publishes, as `schema.table`.
    var tables: Set<String> = []

    init(_ name: String, _ side: SideConnection) throws(ConnectorFailure) {
        guard let row = try side.query(Self.query, [name]).first else {
            exists = false
            return
        }
        exists = true
        isOwned = row.flag("is_owned")
        holdsAllTables = row.flag("puballtables")
        sendsPartitionsAsRoot = row.flag("pubviaroot")
        unpublished = ["insert", "update", "delete", "truncate"].filter { !row.flag("pub" + $0) }
        let members = try side.query(Self.membersQuery, [name])
        tables = Set(members.all.map { $0.text("schemaname") + "." + $0.text("tablename") })
    }

    /// True when UPDATE or DELETE of its tables is published, for which the server demands a replica identity.
    var needsReplicaIdentity: Bool { !(unpublished.contains("update") && unpublished.contains("delete")) }

    private static let query = """
        SELECT *, pg_catalog.pg_has_role(pubowner, 'USAGE') AS is_owned
        FROM pg_catalog.pg_publication WHERE pubname = $1
        """
    private static let membersQuery = "SELECT * FROM pg_catalog.pg_publication_tables WHERE pubname = $1"
}

extension PublicationState {
    /// The statement that makes the publication for these tables, and only these.
    static func createStatement(_ name: String, _ tables: [TableSelection.Table]) -> String {
        "CREATE PUBLICATION \(SQLText.identifier(name)) FOR TABLE \(tables.map(\.identifier).joined(separator: ", ")) "
            + "WITH (publish_via_partition_root = true);"
    }

    /// The statement that adds tables to it.
    static func addStatement(_ name: String, _ tables: [TableSelection.Table]) -> String {
        "ALTER PUBLICATION \(SQLText.identifier(name)) ADD TABLE \(tables.map(\.identifier).joined(separator: ", "));"
    }

    /// The statement that makes it send partitions as their root.
    static func rootStatement(_ name: String) -> String {
        "ALTER PUBLICATION \(SQLText.identifier(name)) SET (publish_via_partition_root = true);"
    }
}

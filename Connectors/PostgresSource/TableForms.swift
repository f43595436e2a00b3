package import ChangeModel
package import ConnectorKit

/// The captured tables as a run that starts now would know them, before it has read anything of them.
package struct TableForms: Sendable {
    private let settings: PostgresSettings

    /// The tables that these settings mean.
    package init(settings: PostgresSettings) { self.settings = settings }

    /// Asks the catalogue; sorted by name. Changes nothing.
    package func relations() async throws(ConnectorFailure) -> [Relation] { try await Reader().relations(settings) }

    /// Keeps the blocking library off the cooperative threads.
    private actor Reader {
        private let thread = BlockingThread(name: "pg-forms")
        nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

        func relations(_ settings: PostgresSettings) throws(ConnectorFailure) -> [Relation] {
            let side = SideConnection(url: settings.url, applicationName: settings.applicationName)
            let catalogue = RelationCatalogue(side: side, settings: settings, notice: { _ in })
            var relations: [Relation] = []
            for table in try TableSelection(settings, side).tables {
                let announced = try TableForms.announcement(of: table, side)
                if let relation = try catalogue.relation(for: announced) { relations.append(relation) }
            }
            return relations
        }
    }

    /// What the server would announce of the table before its first change.
    private static func announcement(
        of table: TableSelection.Table, _ side: SideConnection
    ) throws(ConnectorFailure) -> RelationMessage {
        let rows = try side.query(query, [String(table.id)]).all
        let word = rows.first?.text("relreplident").utf8.first ?? UInt8(ascii: "d")
        let identity = RelationMessage.ReplicaIdentity(rawValue: word) ?? .byDefault
        return RelationMessage(
            relationID: table.id, namespace: table.schema, relationName: table.name, replicaIdentity: identity,
            columns: rows.map { row in
                RelationMessage.Column(
                    isKey: identity == .full || row.flag("is_key"), name: row.text("attname"),
                    typeID: UInt32(row.text("atttypid")) ?? 0, typeModifier: Int32(row.text("atttypmod")) ?? -1)
            })
    }

    private static let query = """
        SELECT a.attname, a.atttypid, a.atttypmod, c.relreplident,
            coalesce(a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]), false) AS is_key
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_attribute a
            ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid
            AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
        WHERE c.oid = $1::pg_catalog.oid ORDER BY a.attnum
        """
}

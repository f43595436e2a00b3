package import ConnectorKit

/// Trouble with reading rows.
extension PostgresFailure {
    static func notReadable(_ table: String, _ message: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.not_readable", .stop, "the rows of \(table) cannot be read: \(message)",
            setting: "source.postgres.snapshot",
            hint: "GRANT USAGE ON SCHEMA … TO ROLE; GRANT SELECT ON \(table) TO ROLE; (under row level security also "
                + "ALTER ROLE … BYPASSRLS)")
    }

    /// `isAvoidable`: before anything of them was read, the configuration may do without it.
    static func notReadable(
        _ tables: [TableSelection.Table], role: String, isAvoidable: Bool = false
    ) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.not_readable", .stop, whyNotReadable(tables, role: role), setting: "source.postgres.snapshot",
            hint: readingGrants(tables, to: role) + (isAvoidable ? " Or set snapshot: never" : ""))
    }

    /// What keeps a role from reading all rows of tables.
    static func whyNotReadable(_ tables: [TableSelection.Table], role: String) -> String {
        let names = tables.filter { !$0.isReadable }.map(\.qualifiedName).joined(separator: ", ")
        let hiding = tables.filter(\.hidesRows).map(\.qualifiedName).joined(separator: ", ")
        let reasons = [
            names.isEmpty ? nil : "role \"\(role)\" may not read \(names), which a snapshot takes",
            hiding.isEmpty
                ? nil : "row level security of \(hiding) hides rows from role \"\(role)\", and a snapshot takes all",
        ]
        return reasons.compactMap { $0 }.joined(separator: "; ")
    }

    /// The statements that let a role read tables with all their rows.
    static func readingGrants(_ all: [TableSelection.Table], to role: String) -> String {
        let role = SQLText.identifier(role)
        let bypass = all.contains(where: \.hidesRows) ? "ALTER ROLE \(role) BYPASSRLS;" : ""
        let tables = all.filter { !$0.isReadable }
        if tables.isEmpty { return bypass }
        let schemas = Set(tables.map(\.schema)).sorted().map { SQLText.identifier($0) }.joined(separator: ", ")
        return "GRANT USAGE ON SCHEMA \(schemas) TO \(role); "
            + "GRANT SELECT ON \(tables.map(\.identifier).joined(separator: ", ")) TO \(role);"
            + (bypass.isEmpty ? "" : " " + bypass)
    }

    static func snapshotOnStandby() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.snapshot_standby", .stop, "rows cannot be read for snapshots by way of standbys alone",
            setting: "source.postgres.snapshot_url",
            hint: "set snapshot_url to the primary, where the stream's positions can be marked, or set snapshot: never")
    }

    static func snapshotElsewhere() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.snapshot_elsewhere", .stop, "snapshot_url leads to another database or timeline than url",
            setting: "source.postgres.snapshot_url",
            hint: "name the primary, or a standby, of the server and database in url")
    }

    static func snapshotStandbyGone() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.promoted", .retry, "the standby that rows are read on was promoted, or follows another timeline",
            setting: "source.postgres.snapshot_url", hint: "nothing: both servers are looked at again")
    }

    static func damagedSnapshot() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.protocol", .stop, "the server's copy of a table cannot be read: a row has other columns",
            hint: "please report this with the server's version")
    }

    static func snapshotOfUnknownTable(_ pattern: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.snapshot_unknown_table", .stop, "no captured table matches \(pattern)", setting: tablesSetting,
            hint: "name a table as schema.table that source.postgres.tables captures", exitCode: 2)
    }
}

extension PostgresSettings {
    /// Throws for tables of a snapshot request that cannot be among the captured ones, whatever the database has.
    package func checkSnapshot(of requested: [TablePattern]) throws(ConnectorFailure) {
        for table in requested where !tables.contains(where: { $0.overlaps(table) }) {
            throw PostgresFailure.snapshotOfUnknownTable(table.text)
        }
    }
}

package import ConnectorKit

/// Looks at everything that capture needs on the server, changes nothing, and names the exact fix for what is wrong.
package struct PostgresDoctor: Sendable {
    private let settings: PostgresSettings

    /// A doctor for these settings.
    package init(settings: PostgresSettings) { self.settings = settings }

    /// Looks at the server; never throws, because what goes wrong is a finding.
    package func findings() async -> [Finding] { await Inspector().findings(settings) }

    /// The captured tables with their captured columns; nil when the server could not be asked.
    package func tables() async -> [TableColumns]? { await Inspector().tables(settings) }
}

/// One round of checks; each adds what it found.
struct Examination {
    let settings: PostgresSettings
    private(set) var findings: [Finding] = []
    private let side: SideConnection

    init(settings: PostgresSettings) {
        self.settings = settings
        side = SideConnection(url: settings.url, applicationName: settings.applicationName)
    }

    /// Runs all checks. When the server cannot be reached, that is the only finding.
    mutating func run() {
        do throws(ConnectorFailure) {
            let facts = try ServerFacts(side)
            lookAtServer(facts)
            try lookAtReplication(facts)
            try lookAtTables(facts)
            try lookAtSlot(facts)
        } catch {
            add(error)
        }
    }

    private mutating func add(_ failure: ConnectorFailure) {
        findings.append(Finding(.problem, failure.code, failure.message, fix: failure.hint))
    }

    private mutating func add(_ level: Finding.Level, _ code: String, _ message: String, fix: String? = nil) {
        findings.append(Finding(level, code, message, fix: fix))
    }
}

// MARK: - Server

extension Examination {
    private mutating func lookAtServer(_ facts: ServerFacts) {
        lookAtConnection(facts)
        if facts.versionNumber < 140_000 {
            add(PostgresFailure.serverTooOld(facts.version))
        } else {
            add(.ok, "postgres.server_version", "PostgreSQL \(facts.version)")
        }
        if facts.walLevel == "logical" {
            add(.ok, "postgres.wal_level", "wal_level = logical")
        } else {
            add(PostgresFailure.walLevel(facts.walLevel))
        }
        if facts.isInRecovery {
            if facts.versionNumber < 160_000 {
                add(PostgresFailure.standby())
            } else {
                add(.warning, "postgres.standby", "the server is a standby: publications must be made on its primary")
            }
        }
        headroom("max_wal_senders", facts.sendersUsed, facts.sendersMax, code: "postgres.too_many_connections")
        if facts.slotKeepMebibytes >= 0 { return }
        add(
            .warning, "postgres.wal_unlimited",
            "max_slot_wal_keep_size is unlimited: WAL fills the disk while nobody reads the slot",
            fix:
                "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); "
                + "(as much as the disk allows)"
        )
    }

    private mutating func lookAtConnection(_ facts: ServerFacts) {
        let place = side.facts
        add(
            .ok, "postgres.connection_failed",
            "connected to database \"\(facts.database)\" as \"\(facts.role)\""
                + (place.map { " at \($0.description)" } ?? ""))
        guard let place else { return }
        if place.encryption == nil && !place.isLocal {
            add(
                .warning, "postgres.tls", "rows travel without encryption to \(place.host)",
                fix: "turn TLS on at the server, and add sslmode=verify-full&sslrootcert=FILE to the URL "
                    + "(sslmode=require encrypts, but trusts whoever answers)")
        }
        if let file = place.passwordFile, place.passwordFileIsOpen {
            add(
                .warning, "postgres.password_file", "others may read \(file), so that libpq takes no password from it",
                fix: "chmod 600 \(file)")
        }
    }

    private mutating func headroom(_ setting: String, _ used: Int, _ most: Int, code: String) {
        if used < most {
            add(.ok, code, "\(setting) = \(most), \(used) in use")
        } else {
            add(
                .problem, code, "\(setting) = \(most), and all are in use",
                fix: "ALTER SYSTEM SET \(setting) = \(most + 10); then restart the server")
        }
    }

    /// The attribute alone does not tell at every provider; the attempt does.
    private mutating func lookAtReplication(_ facts: ServerFacts) throws(ConnectorFailure) {
        let preparation = ServerPreparation(settings: settings, side: side, notice: { _ in }, warning: { _ in })
        do throws(ConnectorFailure) {
            _ = try preparation.connectReplication(facts)
            add(.ok, "postgres.no_replication_privilege", "role \"\(facts.role)\" may replicate")
        } catch {
            add(error)
        }
    }
}

// MARK: - Tables and publication

extension Examination {
    private mutating func lookAtTables(_ facts: ServerFacts) throws(ConnectorFailure) {
        let selection: TableSelection
        do throws(ConnectorFailure) {
            selection = try TableSelection(settings, side)
        } catch {
            return add(error)
        }
        add(.ok, "postgres.table_missing", "\(selection.tables.count) tables to capture")
        for line in selection.idlePatterns { add(.warning, "postgres.no_tables", line) }
        let publication = try PublicationState(settings.publication, side)
        for table in selection.tables { look(at: table, facts, publication) }
        look(at: publication, selection, facts)
        if publication.needsReplicaIdentity, selection.tables.contains(where: { !$0.hasReplicaIdentity }) { return }
        let (tables, version) = (selection.tables, facts.versionNumber)
        do throws(ConnectorFailure) {
            look(at: try PublicationDifference(settings, tables, publication, version, side), publication, facts)
        } catch {
            add(error)
        }
    }

    private mutating func look(at table: TableSelection.Table, _ facts: ServerFacts, _ publication: PublicationState) {
        if publication.needsReplicaIdentity && !table.hasReplicaIdentity {
            add(PostgresFailure.noReplicaIdentity([(table.schema, table.name)]))
        } else {
            add(.ok, "postgres.no_replica_identity", "\(table.qualifiedName) has a replica identity")
        }
        let role = SQLText.identifier(facts.role)
        if !table.isReadable {
            add(
                .warning, "postgres.privilege",
                "role \(role) may not read \(table.qualifiedName), which a snapshot takes",
                fix: "GRANT USAGE ON SCHEMA \(SQLText.identifier(table.schema)) TO \(role); "
                    + "GRANT SELECT ON \(table.identifier) TO \(role);")
        }
        if !publication.tables.contains(table.qualifiedName) && !table.isOwned && !publication.holdsAllTables {
            let plain = PublishedTable(schema: table.schema, name: table.name)
            let statement =
                publication.exists
                ? PublicationDifference.add(settings.publication, [plain])
                : PublicationDifference.create(settings.publication, [plain])
            add(
                .problem, "postgres.privilege",
                "role \(role) does not own \(table.qualifiedName), which publishing it takes",
                fix: "as the owner or an administrator: \(statement)")
        }
    }

    private mutating func look(at publication: PublicationState, _ selection: TableSelection, _ facts: ServerFacts) {
        let name = settings.publication
        guard publication.exists else { return }
        if !publication.sendsPartitionsAsRoot, let root = selection.tables.first(where: \.isPartitioned) {
            add(
                .problem, "postgres.publication_options",
                "publication \"\(name)\" sends the changes of \(root.qualifiedName) under the names of its partitions",
                fix: PublicationDifference.rootStatement(name))
        }
        if !publication.unpublished.isEmpty {
            add(
                .warning, "postgres.publication_options",
                "publication \"\(name)\" leaves out \(publication.unpublished.joined(separator: ", "))",
                fix: "ALTER PUBLICATION \(SQLText.identifier(name)) SET (publish = 'insert, update, delete, truncate');"
            )
        }
    }
}

extension Examination {
    private mutating func look(
        at difference: PublicationDifference, _ publication: PublicationState, _ facts: ServerFacts
    ) {
        for line in difference.notices { add(.warning, "postgres.publication_options", line) }
        let name = settings.publication
        if difference.isEmpty { add(.ok, "postgres.object_missing", "publication \"\(name)\" holds all of them") }
        for step in difference.steps {
            if publication.isOwned || !publication.exists {
                add(
                    .ok, "postgres.object_missing",
                    "publication \"\(name)\" will be \(publication.exists ? "changed" : "made"): \(step.statement)")
            } else {
                add(
                    .problem, "postgres.privilege",
                    "role \"\(facts.role)\" does not own publication \"\(name)\", and \(step.why)",
                    fix: step.statement)
            }
        }
    }
}

// MARK: - Slot

extension Examination {
    private mutating func lookAtSlot(_ facts: ServerFacts) throws(ConnectorFailure) {
        let name = settings.slot
        guard let slot = try SlotState.find(name, side) else {
            headroom("max_replication_slots", facts.slotsUsed, facts.slotsMax, code: "postgres.slots_exhausted")
            return add(.ok, "postgres.slot_missing", "slot \"\(name)\" will be made")
        }
        if slot.plugin != "pgoutput" || slot.database != facts.database {
            return add(
                PostgresFailure.slotForeign(
                    name, "decodes \"\(slot.database)\" by \(slot.plugin.isEmpty ? "nothing" : slot.plugin)"))
        }
        if let reason = slot.lostBecause { return add(PostgresFailure.slotLost(name, why: reason)) }
        let kept = slot.retainedBytes.map { "\($0 >> 20) MiB of WAL kept" } ?? "nothing kept"
        switch slot.walStatus {
        case "unreserved":
            add(
                .problem, "postgres.slot_endangered", "slot \"\(name)\" loses its WAL at the next checkpoint (\(kept))",
                fix: "ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf(); then millrace run")
        case "extended":
            add(
                .warning, "postgres.slot_endangered",
                "slot \"\(name)\" holds more than max_wal_size (\(kept)"
                    + (slot.safeBytes.map { ", \($0 >> 20) MiB until it is lost)" } ?? ")"),
                fix: "run millrace, so that the slot advances")
        default: add(.ok, "postgres.slot_endangered", "slot \"\(name)\" is healthy (\(kept))")
        }
        if let process = slot.activeProcess {
            add(.warning, "postgres.slot_active", "slot \"\(name)\" is read by process \(process) now")
        }
    }
}

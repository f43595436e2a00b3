package import ChangeModel
package import ConnectorKit

/// Looks at everything that capture needs on the server, changes nothing, and names the exact fix for what is wrong.
package struct PostgresDoctor: Sendable {
    /// What an event log remembers of its source.
    package struct LogMemory: Sendable {
        /// The source that the log was made from.
        package var identity: SourceIdentity
        /// How far it was read.
        package var checkpoint: SourceCheckpoint?

        /// A memory of its parts.
        package init(identity: SourceIdentity, checkpoint: SourceCheckpoint?) {
            self.identity = identity
            self.checkpoint = checkpoint
        }
    }

    private let settings: PostgresSettings
    private let log: LogMemory?

    /// A doctor for these settings, who compares the server with what the `log` remembers, if there is one.
    package init(settings: PostgresSettings, log: LogMemory? = nil) {
        self.settings = settings
        self.log = log
    }

    /// Looks at the server; never throws, because what goes wrong is a finding.
    package func findings() async -> [Finding] { await Inspector().findings(settings, log) }

    /// The captured tables with their captured columns; nil when the server could not be asked.
    package func tables() async -> [TableColumns]? { await Inspector().tables(settings) }
}

/// One round of checks; each adds what it found.
struct Examination {
    let settings: PostgresSettings
    let log: PostgresDoctor.LogMemory?
    private(set) var findings: [Finding] = []
    let side: SideConnection

    init(settings: PostgresSettings, log: PostgresDoctor.LogMemory?) {
        self.settings = settings
        self.log = log
        side = SideConnection(url: settings.url, applicationName: settings.applicationName)
    }

    /// Runs all checks. When the server cannot be reached, that is the only finding.
    mutating func run() {
        do throws(ConnectorFailure) {
            let facts = try ServerFacts(side)
            lookAtServer(facts)
            try lookAtLimits()
            let replication = lookAtReplication(facts)
            try lookAtStandby(facts, replication)
            try lookAtTables(facts)
            try lookAtSlot(facts)
            try lookAtTransactions(facts)
            try lookAtLog(facts, replication)
        } catch {
            add(error)
        }
    }

    mutating func add(_ failure: ConnectorFailure) {
        findings.append(Finding(.problem, failure.code, failure.message, fix: failure.hint))
    }

    mutating func add(_ level: Finding.Level, _ code: String, _ message: String, fix: String? = nil) {
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
                add(.warning, "postgres.standby", "the server is a standby: publications are made on its primary")
            }
        }
        headroom("max_wal_senders", facts.sendersUsed, facts.sendersMax, code: "postgres.too_many_connections")
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
                .problem, code, "\(setting) = \(most), " + (most == 0 ? "which allows none" : "and all are in use"),
                fix: "ALTER SYSTEM SET \(setting) = \(most + 10); then restart the server")
        }
    }

    /// The attribute alone does not tell at every provider; the attempt does.
    private mutating func lookAtReplication(_ facts: ServerFacts) -> ServerPreparation.Replication? {
        let preparation = ServerPreparation(settings: settings, side: side, notice: { _ in }, warning: { _ in })
        do throws(ConnectorFailure) {
            let replication = try preparation.connectReplication(facts)
            add(.ok, "postgres.no_replication_privilege", "role \"\(facts.role)\" may replicate")
            return replication
        } catch {
            add(error)
            return nil
        }
    }
}

// MARK: - Tables and publication

extension Examination {
    private mutating func lookAtTables(_ facts: ServerFacts) throws(ConnectorFailure) {
        var selection: TableSelection
        let notes: SourceNotes
        do throws(ConnectorFailure) {
            selection = try TableSelection(settings, side)
            notes = try SourceNotes(decoding: log?.checkpoint?.notes ?? [])
            selection.forgive(notes.publication)
        } catch {
            return add(error)
        }
        add(.ok, "postgres.table_missing", "\(counted(selection.tables.count, "table")) to capture")
        for line in selection.idlePatterns { add(.warning, "postgres.no_tables", line) }
        let publication = try PublicationState(settings.publication, slot: settings.slot, side)
        for table in selection.tables { look(at: table, publication) }
        lookAtRows(of: selection.tables, notes, facts)
        look(at: publication, selection, facts)
        let version = facts.versionNumber
        let keyless = publication.needsReplicaIdentity ? selection.tables.filter { !$0.hasReplicaIdentity } : []
        let isAnyRefused = keyless.contains { isRefused($0, publication) }
        // Those that are left out stay out, as in a run.
        let tables = isAnyRefused ? selection.tables : selection.tables.filter { !keyless.contains($0) }
        if isAnyRefused {
            // What is to be published of each table cannot be said before they can be published at all.
            let plain = tables.filter { !publication.tables.contains($0.qualifiedName) }
                .map { PublishedTable(schema: $0.schema, name: $0.name) }
            let name = settings.publication
            let statement =
                publication.exists ? PublicationDifference.add(name, plain) : PublicationDifference.create(name, plain)
            return lookAtOwners(tables, facts, publication, [statement])
        }
        do throws(ConnectorFailure) {
            let difference = try PublicationDifference(
                settings, tables, publication, version, side, isResuming: log?.checkpoint != nil)
            for line in difference.warnings { add(.warning, "postgres.publication_options", line) }
            lookAtOwners(tables, facts, publication, difference.steps.map(\.statement))
            lookAtReadOnly(facts, isInTheWay: !difference.steps.isEmpty || tables.contains { $0.choice?.filter != nil })
            let isOurs = Self.unowned(tables, publication).isEmpty
            look(at: difference, publication, facts, isPossible: isOurs)
        } catch {
            add(error)
        }
    }

    private mutating func look(at table: TableSelection.Table, _ publication: PublicationState) {
        if publication.needsReplicaIdentity && !table.hasReplicaIdentity {
            if isRefused(table, publication) {
                add(PostgresFailure.noReplicaIdentity([table]))
            } else {
                let isPublished = publication.tables.contains(table.qualifiedName)
                add(
                    .warning, "postgres.no_replica_identity",
                    PostgresFailure.keylessWarning(table, isPublished: isPublished))
            }
        } else {
            add(.ok, "postgres.no_replica_identity", "\(table.qualifiedName) has a replica identity")
        }
    }

    /// Sessions that may not write cannot make or change a publication, nor have a condition read by the server.
    private mutating func lookAtReadOnly(_ facts: ServerFacts, isInTheWay: Bool) {
        guard facts.isReadOnly, !facts.isInRecovery else { return }
        add(
            isInTheWay ? .problem : .warning, "postgres.read_only",
            "default_transaction_read_only is on for role \"\(facts.role)\" in database \"\(facts.database)\", so that "
                + "publications cannot be made or changed",
            fix: facts.isReadOnlyByURL
                ? "take default_transaction_read_only out of options=… in the URL, the service file or PGOPTIONS"
                : "ALTER ROLE \(SQLText.identifier(facts.role)) IN DATABASE \(SQLText.identifier(facts.database)) "
                    + "SET default_transaction_read_only = off;")
    }

    /// True when the next start would end because of a table without a replica identity.
    private func isRefused(_ table: TableSelection.Table, _ publication: PublicationState) -> Bool {
        settings.refusesKeyless(
            table, isResuming: log?.checkpoint != nil,
            isPublished: publication.tables.contains(table.qualifiedName))
    }

    /// One statement for all of them: a publication is made once, and by one role.
    private mutating func lookAtOwners(
        _ tables: [TableSelection.Table], _ facts: ServerFacts, _ publication: PublicationState, _ statements: [String]
    ) {
        let names = Self.unowned(tables, publication).joined(separator: ", ")
        if names.isEmpty { return }
        add(
            .problem, "postgres.privilege",
            "role \"\(facts.role)\" does not own \(names), which publishing takes",
            fix: "as the owner of all of them or an administrator: \(statements.joined(separator: " "))")
    }

    /// The tables that the publication lacks and that the role does not own.
    private static func unowned(_ tables: [TableSelection.Table], _ publication: PublicationState) -> [String] {
        if publication.holdsAllTables { return [] }
        return tables.filter { !publication.tables.contains($0.qualifiedName) && !$0.isOwned }.map(\.qualifiedName)
    }

    private mutating func look(at publication: PublicationState, _ selection: TableSelection, _ facts: ServerFacts) {
        let name = settings.publication
        guard publication.exists else { return }
        if !publication.sendsPartitionsAsRoot, let root = selection.tables.first(where: \.isPartitioned) {
            add(
                .problem, "postgres.publication_options",
                "publication \"\(name)\" sends the changes of \(root.qualifiedName) under the names of its partitions",
                fix: PostgresFailure.altering(
                    PublicationDifference.rootStatement(name), isResuming: log?.checkpoint != nil))
        }
        if !publication.unpublished.isEmpty {
            add(
                .warning, "postgres.publication_options",
                "publication \"\(name)\" leaves out \(publication.unpublished.joined(separator: ", "))",
                fix: PostgresFailure.altering(
                    "ALTER PUBLICATION \(SQLText.identifier(name)) SET (publish = 'insert, update, delete, truncate');",
                    isResuming: log?.checkpoint != nil))
        }
    }
}

extension Examination {
    private mutating func look(
        at difference: PublicationDifference, _ publication: PublicationState, _ facts: ServerFacts, isPossible: Bool
    ) {
        for line in difference.notices { add(.warning, "postgres.publication_options", line) }
        guard isPossible else { return }
        let name = settings.publication
        if difference.isEmpty { add(.ok, "postgres.object_missing", "publication \"\(name)\" holds all of them") }
        for step in difference.steps {
            if facts.isInRecovery {
                add(PostgresFailure.publicationOnStandby(step, mark: PublicationOrigin.statement(name)))
            } else if publication.isOwned || !publication.exists {
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
            if log?.checkpoint == nil { add(.ok, "postgres.slot_missing", "slot \"\(name)\" will be made") }
            return
        }
        if slot.plugin != "pgoutput" || slot.database != facts.database {
            return add(
                PostgresFailure.slotForeign(
                    name, "decodes \"\(slot.database)\" by \(slot.plugin.isEmpty ? "nothing" : slot.plugin)"))
        }
        if let reason = slot.lostBecause {
            return add(PostgresFailure.slotLost(name, why: reason, try SlotLimits(side)))
        }
        try lookAtFailover(facts, slot)
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
            let holder = (try? SlotHolder.find(slot, side))?.text ?? "process \(process)"
            add(.warning, "postgres.slot_active", "slot \"\(name)\" is read by \(holder) now")
        }
    }
}

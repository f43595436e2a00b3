internal import ChangeModel
internal import ConnectorKit

/// What every trouble with PostgreSQL means for the pipeline: the one place where codes, remedies and hints are made.
///
/// See "PostgreSQL Error Codes" in the manual. Messages name objects and numbers, never values of rows or secrets.
enum PostgresFailure {
    /// What to look at when connections break.
    private static let connectionHint =
        "capture goes on by itself once the server is there; if this happens often, look at its log and the network"

    /// What was being done when the server objected; some SQLSTATEs mean different things at different times.
    enum Activity {
        case connecting
        case preparing
        case creatingSlot(String)
        case streaming(slot: String)
        /// Reading rows of a table.
        case snapshot(of: String)

        var isSnapshot: Bool { if case .snapshot = self { true } else { false } }
        var isStreaming: Bool { if case .streaming = self { true } else { false } }
    }

    /// The failure for what the server or libpq said.
    static func because(of error: ServerError, _ activity: Activity) -> ConnectorFailure {
        guard let state = error.sqlState else { return withoutState(error, activity) }
        // What the session was to begin with: `options` of the URL, or PGOPTIONS.
        if case .connecting = activity, ["42704", "22023", "42601"].contains(state) {
            return connectionSettings(error.message)
        }
        if let specific = specific(state, error.message, activity) { return specific }
        switch state.prefix(2) {
        case "08":
            return ConnectorFailure(
                "postgres.connection_lost", .retry, "the connection broke: \(error.message)", hint: connectionHint)
        case "28": return login(error)
        case "53":
            return ConnectorFailure(
                "postgres.server_resources", .retry, "the server is out of a resource: \(error.message)",
                hint: "look at the server's disk space, memory and limits")
        case "57":
            return ConnectorFailure(
                "postgres.server_stopping", .retry, "the server ended the connection: \(error.message)",
                hint: "nothing, if the server restarts; otherwise look at its log")
        default:
            return ConnectorFailure(
                "postgres.server_error", .retry, "the server reported \(state): \(error.message)",
                hint: "look at the server's log at this time")
        }
    }

    private static func specific(_ state: String, _ message: String, _ activity: Activity) -> ConnectorFailure? {
        switch state {
        case "57P03":
            ConnectorFailure(
                "postgres.server_starting", .retry, "the server does not accept connections now: \(message)",
                hint: "wait until it is up; capture goes on by itself then")
        case "53300":
            ConnectorFailure(
                "postgres.too_many_connections", .retry, "the server has no connection left: \(message)",
                hint:
                    "raise max_connections, max_wal_senders or the role's CONNECTION LIMIT, or close other connections")
        case "3D000":
            ConnectorFailure(
                "postgres.database_missing", .stop, "the database is not there: \(message)", setting: url,
                hint: "name an existing database in the URL; psql -l lists them", exitCode: 2)
        case "08P01" where message.contains("startup parameter"): pooler(message)
        case "42501": privilege(message, activity)
        case "55006": slotActive(message)
        case "40001":
            ConnectorFailure(
                "postgres.recovery_conflict", .retry, "the standby cancelled a query: \(message)",
                hint: "hot_standby_feedback = on, or a larger max_standby_streaming_delay, on the standby makes it rare"
            )
        case "55P03", "57014", "40P01":
            ConnectorFailure(
                "postgres.locked", .retry, "the server did not get to it in time: \(message)",
                hint: "look in pg_stat_activity and pg_locks for who holds the tables")
        case "53400":
            ConnectorFailure(
                "postgres.slots_exhausted", .stop, "no replication slot is free: \(message)",
                hint: "raise max_replication_slots and restart the server, or drop a slot that nobody uses "
                    + "(select * from pg_replication_slots)")
        case "55000": prerequisite(message, activity)
        case "58P01" where !activity.isSnapshot: slotLost(slot(of: activity), why: message)
        case "42704":
            ConnectorFailure(
                "postgres.object_missing", .stop, "something that the stream needs was dropped: \(message)",
                hint: "millrace doctor names what is missing and how to make it again"
                    + (activity.isStreaming
                        ? "; if it finds nothing, the slot holds changes from before the publication had its name: "
                            + recovery : ""))
        case "25006":
            ConnectorFailure(
                "postgres.read_only", .stop, "the session may not write: \(message)", setting: url,
                hint: "ALTER ROLE … IN DATABASE … SET default_transaction_read_only = off; where that is on "
                    + "(millrace doctor prints the statement); on a standby connect to the primary: add "
                    + "target_session_attrs=read-write to the URL")
        case "0A000":
            ConnectorFailure(
                "postgres.unsupported", .stop, "the server cannot do this: \(message)",
                hint: "use PostgreSQL 14 or later, or leave out what the message names")
        default: nil
        }
    }

    private static func withoutState(_ error: ServerError, _ activity: Activity) -> ConnectorFailure {
        if case .connecting = activity { return cannotConnect(error.message) }
        return ConnectorFailure(
            "postgres.connection_lost", .retry, "the connection broke: \(error.message)", hint: connectionHint)
    }

    private static func privilege(_ message: String, _ activity: Activity) -> ConnectorFailure {
        switch activity {
        case .creatingSlot, .streaming: noReplicationPrivilege(role: nil, message: message)
        case .snapshot(let table): notReadable(table, message)
        case .connecting, .preparing:
            ConnectorFailure(
                "postgres.privilege", .stop, "the role may not do this: \(message)",
                hint: "millrace doctor prints the exact GRANT or ALTER statement; "
                    + "to connect at all takes GRANT CONNECT ON DATABASE … TO …")
        }
    }

    private static func prerequisite(_ message: String, _ activity: Activity) -> ConnectorFailure {
        switch activity {
        case .streaming(let slot): slotLost(slot, why: message)
        case .creatingSlot: walLevel(nil, message: message)
        default:
            ConnectorFailure(
                "postgres.not_ready", .stop, "the server is not in the state for this: \(message)",
                hint: "millrace doctor looks at everything that capture needs")
        }
    }

    private static func slot(of activity: Activity) -> String {
        switch activity {
        case .streaming(let slot), .creatingSlot(let slot): slot
        default: "?"
        }
    }

    static let url = "source.postgres.url"
    static let slotSetting = "source.postgres.slot"
    static let publicationSetting = "source.postgres.publication"
    static let tablesSetting = "source.postgres.tables"
    static let excludeSetting = "source.postgres.exclude"
}

extension PostgresFailure {
    static func notOpen() -> ConnectorFailure {
        ConnectorFailure("postgres.not_open", .retry, "the source is not open")
    }

    static func notesUnreadable(_ what: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.notes_unreadable", .stop, "this version cannot read the notes in the log's checkpoint: \(what)",
            setting: "log.directory", hint: "run the version of Millrace that wrote the log, or a newer one")
    }

    static func damagedStream(_ error: WireError) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.protocol", .stop, "the server's stream cannot be read: \(error.text)",
            hint: "please report this with the server's version; nothing was confirmed beyond the last good transaction"
        )
    }

    static func streamEnded() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.connection_lost", .retry, "the server ended the stream", hint: connectionHint)
    }

    static func connectionLost(_ what: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.connection_lost", .retry, "the connection broke: \(what)", hint: connectionHint)
    }

    static func batchTooLarge() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.row_too_large", .stop, "one row change needs more than 4 GiB",
            hint: "move the value out of the row, or take the table out of source.postgres.tables")
    }

    static func serverTooOld(_ version: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.server_version", .stop, "the server is PostgreSQL \(version); 14 is the oldest that works",
            setting: url, hint: "upgrade the server")
    }

    static func walLevel(_ level: String?, message: String? = nil) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.wal_level", .stop, message ?? "wal_level is \(level ?? "unknown"); capture needs logical",
            hint: "ALTER SYSTEM SET wal_level = logical; then restart the server")
    }

    static func noReplicationPrivilege(role: String?, message: String? = nil) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.no_replication_privilege", .stop,
            message ?? "role \"\(role ?? "?")\" may not replicate",
            hint:
                "ALTER ROLE \(SQLText.identifier(role ?? "ROLE")) REPLICATION; "
                + "(or, at a provider, GRANT rds_replication TO …)"
        )
    }

    static func standby() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.standby", .stop, "the server is a standby that cannot decode (before PostgreSQL 16)",
            setting: url,
            hint: "connect to the primary: add target_session_attrs=read-write to the URL")
    }

    static func verifyOnStandby() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.verify_standby", .stop, "a standby does not tell which transactions a view of its tables has",
            setting: url, hint: "connect to the primary: add target_session_attrs=read-write to the URL")
    }

    static func tableMissing(_ names: [String]) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.table_missing", .stop,
            names.count == 1
                ? "table \(names[0]) does not exist" : "tables \(names.joined(separator: ", ")) do not exist",
            setting: tablesSetting, hint: "correct the name (capitals matter) or create the table", exitCode: 2)
    }

    static func tableUnsupported(_ name: String, _ kind: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.table_unsupported", .stop, "\(name) is \(kind), whose changes the server does not publish",
            setting: tablesSetting, hint: "take it out of the list", exitCode: 2)
    }

    static func noTables(_ patterns: [String]) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.no_tables", .stop, "no table matches \(patterns.joined(separator: ", "))", setting: tablesSetting,
            hint: "psql -c '\\dt *.*' lists the tables", exitCode: 2)
    }

    static func noReplicaIdentity(_ tables: [TableSelection.Table]) -> ConnectorFailure {
        let names = tables.map(\.qualifiedName).joined(separator: ", ")
        let statements = tables.map(\.identityFix)
        return ConnectorFailure(
            "postgres.no_replica_identity", .stop,
            "published without a key, every UPDATE and DELETE of \(names) would fail in the application",
            setting: tablesSetting, hint: statements.joined(separator: " ") + " (or give it a primary key)")
    }

    static func publicationOptions(_ publication: String, _ why: String, fix: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.publication_options", .stop, "publication \"\(publication)\" \(why)", setting: publicationSetting,
            hint: fix)
    }

    /// A partition is to be captured by itself, and the publication has its root too.
    static func partitionHidden(
        _ table: TableSelection.Table, by root: PublicationState.Name, in state: PublicationState,
        _ settings: PostgresSettings
    ) -> ConnectorFailure {
        let publication = SQLText.identifier(settings.publication)
        let way =
            state.members[root.text] == nil
            ? "name another publication, which Millrace then makes"
            : "take \(root.text) out of this one (ALTER PUBLICATION \(publication) DROP TABLE \(root.reference);)"
        return publicationOptions(
            settings.publication, "sends the changes of \(table.qualifiedName) under the name of \(root.text)",
            fix: "capture \(root.text) instead, or \(way), or leave \(table.qualifiedName) out with \(excludeSetting)")
    }

    static func otherDatabase(_ identity: SourceIdentity, expected: SourceIdentity) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.other_database", .stop,
            "the log was made from another database or slot "
                + "(\(identity.differences(from: expected).joined(separator: "; ")))",
            setting: "source.postgres.url",
            hint: "name the database and slot that the log belongs to, or give this one a state folder of its own "
                + "(log.directory)")
    }

    static func publicationMissing(_ name: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.publication_missing", .stop,
            "publication \"\(name)\" was dropped: what was committed since cannot be decoded, now or later",
            setting: "source.postgres.publication",
            hint: "millrace run --recover snapshot makes publication and slot anew and reads every table")
    }

    static func slotMissing(_ slot: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.slot_missing", .stop,
            "slot \"\(slot)\" is gone, and with it the changes since the last checkpoint", setting: slotSetting,
            hint: "name the right slot; otherwise " + recovery)
    }

    static func slotAhead(_ slot: String, confirmed: String, checkpoint: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.slot_ahead", .stop,
            "slot \"\(slot)\" was confirmed up to \(confirmed), but the log ends at \(checkpoint): "
                + "what lies between is gone",
            setting: slotSetting,
            hint:
                "somebody else read or advanced the slot, or the log is an old copy: put the newer one back; otherwise "
                + recovery)
    }

    static func serverBehind(server: String, checkpoint: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.server_behind", .stop,
            "the server's WAL ends at \(server), before the checkpoint at \(checkpoint): "
                + "it was set back to an older state",
            setting: url,
            hint:
                "connect to the server that was captured before; or give up the old state: move the log's folder away "
                + "and start anew")
    }

    static func slotLost(_ slot: String, why: String, _ limits: SlotLimits? = nil) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.slot_lost", .stop, "slot \"\(slot)\" lost its WAL (\(why))", setting: slotSetting,
            hint: recovery + "; and "
                + (limits?.advice(for: why) ?? "raise max_slot_wal_keep_size") + " so that it does not happen again")
    }

    /// The way on when changes are lost for good.
    static let recovery = "millrace run --recover snapshot makes a new slot and reads every table anew"

    static func slotActive(_ message: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.slot_active", .retry, message, setting: slotSetting,
            hint: "stop the other reader; after a network cut the server lets go by itself within wal_sender_timeout")
    }

    static func slotActive(_ slot: String, _ holder: SlotHolder) -> ConnectorFailure {
        slotActive("slot \"\(slot)\" is in use by \(holder.text)")
    }

    static func slotForeign(_ slot: String, _ why: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.slot_foreign", .stop, "slot \"\(slot)\" exists but \(why)", setting: slotSetting,
            hint: "choose another name for the slot", exitCode: 2)
    }
}

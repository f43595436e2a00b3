internal import ConnectorKit

// MARK: - Standby

extension Examination {
    /// What endangers a slot on a standby, and whether rows can be read beside it.
    mutating func lookAtStandby(
        _ facts: ServerFacts, _ replication: ServerPreparation.Replication?
    ) throws(ConnectorFailure) {
        guard facts.isInRecovery, facts.versionNumber >= 160_000 else { return }
        let feedback = try side.query("SELECT pg_catalog.current_setting('hot_standby_feedback') AS setting")
        if feedback.first?.text("setting") != "on" {
            add(
                .warning, "postgres.standby",
                "hot_standby_feedback is off: vacuum on the primary takes away what the slot needs, and the slot is "
                    + "lost",
                fix:
                    "on the standby: ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf(); and give it "
                    + "a slot on the primary (primary_slot_name)")
        }
        guard settings.readsOldRows, log?.checkpoint == nil, let replication else { return }
        do throws(ConnectorFailure) {
            try SnapshotPlace(settings, facts, replication).check()
            add(.ok, "postgres.snapshot_standby", "rows can be read where snapshot_url leads to")
        } catch {
            add(error)
        }
    }

    /// Whether the slot goes with a promotion.
    mutating func lookAtFailover(_ facts: ServerFacts, _ slot: SlotState) throws(ConnectorFailure) {
        guard settings.isFailoverWanted, facts.versionNumber >= 170_000, !facts.isInRecovery,
            let row = try side.query(Self.standbysQuery).first, row.flag("has_standby")
        else { return }
        let name = settings.slot
        guard slot.isFailover else {
            return add(
                .warning, "postgres.failover",
                "standbys follow this server, and slot \"\(name)\" is not carried over to them: after a promotion it "
                    + "is missing",
                fix: "stop Millrace; then, over psql 'dbname=\(facts.database) replication=database': "
                    + "ALTER_REPLICATION_SLOT \(SQLText.identifier(name)) (FAILOVER true);")
        }
        if row.text("waits_for").isEmpty {
            add(
                .warning, "postgres.failover",
                "slot \"\(name)\" may be read ahead of the standbys: after a promotion it is refused then",
                fix: "ALTER SYSTEM SET synchronized_standby_slots = 'SLOT_OF_THE_STANDBY'; SELECT pg_reload_conf();")
        } else {
            add(.ok, "postgres.failover", "slot \"\(name)\" is carried over to standbys, and not read ahead of them")
        }
    }

    private static let standbysQuery = """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s
                JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid
                WHERE s.slot_type = 'physical') AS has_standby,
            pg_catalog.current_setting('synchronized_standby_slots') AS waits_for
        """
}

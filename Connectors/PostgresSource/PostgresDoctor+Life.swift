internal import ChangeModel
internal import ConnectorKit

// MARK: - What the log remembers

extension Examination {
    /// Compares the server with what the log was made from: what `run` would refuse is found here first.
    mutating func lookAtLog(_ facts: ServerFacts, _ replication: ServerPreparation.Replication?)
        throws(ConnectorFailure)
    {
        guard let log else { return }
        if let replication {
            let here = PostgresSession.identity(facts, replication, slot: settings.slot)
            guard log.identity == here else { return add(PostgresFailure.otherDatabase(here, expected: log.identity)) }
        }
        guard let checkpoint = log.checkpoint else { return }
        let notes = try SourceNotes(decoding: checkpoint.notes)
        let position = LSN(max(checkpoint.resume.value, checkpoint.last?.commit ?? 0))
        if notes.standby != facts.started, let before = notes.timeline, let now = replication?.timeline,
            let why = before.obstacle(to: now, readUpTo: position)
        {
            add(PostgresFailure.timelineChanged(from: before.number, to: now.number, why))
        }
        let end = try WALEnd(side).position
        if end.value < checkpoint.resume.value {
            let (server, log) = (end.description, LSN(checkpoint.resume.value).description)
            add(
                facts.isInRecovery
                    ? PostgresFailure.standbyBehind(standby: server, checkpoint: log)
                    : PostgresFailure.serverBehind(server: server, checkpoint: log))
        }
        try lookAtMemory(notes.publication, facts)
        if let slot = try SlotState.find(settings.slot, side) {
            if let confirmed = slot.confirmed, confirmed.value > checkpoint.resume.value, slot.activeProcess == nil {
                add(
                    PostgresFailure.slotAhead(
                        settings.slot, confirmed: confirmed.description,
                        checkpoint: LSN(checkpoint.resume.value).description))
            }
        } else {
            add(PostgresFailure.slotMissing(settings.slot))
        }
    }

    private mutating func lookAtMemory(
        _ memory: PublicationMemory?, _ facts: ServerFacts
    ) throws(ConnectorFailure) {
        guard let memory else { return }
        let look = try PublicationLook(settings, side, version: facts.versionNumber, memory: memory)
        guard look.state.exists else { return add(PostgresFailure.publicationMissing(settings.publication)) }
        let review = look.review(memory)
        for table in review.lacking {
            add(.warning, "postgres.column_missing", PostgresFailure.lackingWarning(table))
        }
        if review.isLoss {
            add(PostgresFailure.unpublished(review, settings))
        } else {
            add(.ok, "postgres.table_unpublished", "what was published when the log was last written still is")
        }
    }
}

// MARK: - Transactions

extension Examination {
    /// Finds a transaction beforehand that a run would wait for.
    mutating func lookAtTransactions(_ facts: ServerFacts) throws(ConnectorFailure) {
        // A standby knows of none; its primary's are not looked at.
        if facts.isInRecovery { return }
        let seconds = Int(settings.forgottenAfter.components.seconds)
        let span = TimeText.of(seconds)
        guard let holder = try TransactionHolder.forgotten(after: seconds, side) else {
            return add(.ok, "postgres.transaction_open", "no transaction that wrote is seen to be open for \(span)")
        }
        add(
            .warning, "postgres.transaction_open",
            "a transaction has been open for more than \(span), \(holder.text): a new slot and snapshots wait for it, "
                + "and the server keeps all WAL from its beginning on",
            fix: holder.fix)
    }
}

// MARK: - Limits

extension Examination {
    /// What takes a slot away, or leaves it to a reader that is gone.
    mutating func lookAtLimits() throws(ConnectorFailure) {
        let limits = try SlotLimits(side)
        if limits.keepSize == "-1" {
            add(
                .warning, "postgres.wal_unlimited",
                "max_slot_wal_keep_size is unlimited: WAL fills the disk while nobody reads the slot",
                fix: "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); "
                    + "(as much as the disk allows)")
        } else {
            add(
                .ok, "postgres.wal_unlimited",
                "max_slot_wal_keep_size = \(limits.keepSize): a slot that falls farther behind is lost")
        }
        if let idle = limits.idleTimeout, idle != "0" {
            add(
                .warning, "postgres.idle_timeout",
                "idle_replication_slot_timeout = \(idle): the slot is lost when Millrace is stopped for longer",
                fix:
                    "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf(); "
                    + "or longer than any stop"
            )
        }
        if limits.senderTimeout == "0" {
            add(
                .warning, "postgres.sender_timeout",
                "wal_sender_timeout is off: after a network cut the slot stays with a reader that is gone",
                fix: "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();")
        }
    }
}

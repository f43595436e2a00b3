package import ChangeModel
package import ConnectorKit

/// The source as `millrace status` shows it: how far the slot is, and what the server keeps for it.
package struct PostgresStatus: Sendable, Equatable {
    /// The slot's name.
    package var slot: String
    /// False when the slot does not exist; everything else is then nil.
    package var exists: Bool
    /// The process that reads it now; nil for none.
    package var activeProcess: String?
    /// True while the server makes it, which takes as long as transactions that were open before.
    package var isBeingMade: Bool
    /// Up to here everything was confirmed.
    package var confirmed: LSN?
    /// The server keeps its WAL from here on.
    package var restart: LSN?
    /// The server's insert position.
    package var serverEnd: LSN
    /// Bytes of WAL that the server keeps for the slot.
    package var retainedBytes: Int?
    /// Bytes of WAL behind the position that was given to ``look(_:at:)``.
    package var lagBytes: Int?
    /// reserved, extended, unreserved or lost.
    package var walStatus: String?
    /// Bytes that may be written before the slot is in danger; nil without a limit.
    package var safeBytes: Int?
    /// Why the slot cannot be read any more; nil when it can.
    package var lostBecause: String?
    /// How long the reader of the slot needs to confirm what the server writes, in seconds; nil when nobody reads it.
    package var confirmSeconds: Int?
    /// For how long nobody has read the slot, in seconds; nil while somebody does, and before server 17.
    package var inactiveSeconds: Int?
    /// Bytes of WAL that the server wrote in a second while it was looked at; nil when it was looked at once.
    package var writtenPerSecond: Int?
    /// At that rate the slot is lost in so many seconds, if it does not move; nil when that is far off or there is no
    /// limit.
    package var secondsUntilLost: Int?

    /// What the making of the slot, or the reading of old rows, may wait for: the oldest transaction, with what ends
    /// it. Nil when nothing waits, or no transaction is older than a few seconds.
    package var waitsFor: String?

    /// A table whose old rows are still to be read.
    package struct UnreadTable: Sendable, Equatable {
        /// `schema.table`.
        package var name: String
        /// How many of its rows are in the log; nil when the reading has not begun.
        package var rowCount: UInt64?
        /// About how many there are; 0 when that is not known.
        package var estimate: UInt64
    }

    /// The tables that `checkpoint` says are still to be read for snapshots, in the order in which they are read.
    package static func unreadTables(_ checkpoint: SourceCheckpoint?) -> [UnreadTable] {
        guard let notes = PostgresSource.snapshotNotes(checkpoint) else { return [] }
        return notes.unfinished.compactMap { oid in
            guard let table = notes.tables[oid] else { return nil }
            guard case .reading(let reading) = table.stage else {
                return UnreadTable(name: table.name, rowCount: nil, estimate: 0)
            }
            return UnreadTable(name: table.name, rowCount: reading.rowCount, estimate: reading.estimate)
        }
    }

    /// Losses that are farther away than this are not foretold.
    private static let forecastMax = 30 * 86_400
    /// A transaction that is younger than this is nothing unusual.
    private static let briefSeconds = 5
    /// How long the server is watched for its rate.
    private static let watchSeconds = 0.5

    /// Asks the server over a connection of its own, about what the log holds: its checkpoint says where the lag begins
    /// and which tables are still to be read. Nil leaves both out.
    package static func look(
        _ settings: PostgresSettings, at checkpoint: SourceCheckpoint?
    ) async throws(ConnectorFailure) -> PostgresStatus {
        try await Inspector().status(settings, checkpoint)
    }

    fileprivate init(_ settings: PostgresSettings, _ side: SideConnection, _ checkpoint: SourceCheckpoint?)
        throws(ConnectorFailure)
    {
        let position = checkpoint?.resume
        let end = try WALEnd(side).position
        let begin = ContinuousClock.now
        let state = try SlotState.find(settings.slot, side)
        slot = settings.slot
        exists = state != nil
        activeProcess = state?.activeProcess
        isBeingMade = state.map { $0.plugin == "pgoutput" && $0.activeProcess != nil && $0.confirmed == nil } ?? false
        confirmed = state?.confirmed
        restart = state?.restart
        serverEnd = end
        retainedBytes = state?.retainedBytes
        lagBytes = position.map { Int(clamping: end.value - min(end.value, $0.value)) }
        walStatus = state?.walStatus
        safeBytes = state?.safeBytes
        lostBecause = state?.lostBecause
        let row = try side.query(Self.readerQuery, [settings.slot]).first
        confirmSeconds = state?.activeProcess == nil ? nil : row?.integer("lag") ?? 0
        inactiveSeconds = row?.integer("inactive")
        if isBeingMade || !Self.unreadTables(checkpoint).isEmpty {
            waitsFor = try TransactionHolder.oldest(side).flatMap { holder in
                let isBrief = !isBeingMade && (holder.seconds ?? .max) < Self.briefSeconds
                return isBrief ? nil : "\(holder.text): \(holder.fix)"
            }
        }
        guard let safeBytes, lostBecause == nil else { return }
        _ = try side.query("SELECT pg_catalog.pg_sleep(\(Self.watchSeconds))")
        let grown = Double(try WALEnd(side).position.value) - Double(end.value)
        let written = max(0, grown) / begin.duration(to: .now).inSeconds
        writtenPerSecond = Int(written)
        let left = written > 0 ? Double(max(0, safeBytes)) / written : .infinity
        secondsUntilLost = left < Double(Self.forecastMax) ? Int(left) : nil
    }

    /// Columns of newer servers are read through the row's JSON, so that older ones take the query too.
    private static let readerQuery = """
        SELECT extract(epoch FROM r.flush_lag)::pg_catalog.int8 AS lag,
            extract(epoch FROM pg_catalog.now()
                - (pg_catalog.to_json(s) ->> 'inactive_since')::pg_catalog.timestamptz)::pg_catalog.int8 AS inactive
        FROM pg_catalog.pg_replication_slots s
            LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid
        WHERE s.slot_name = $1
        """
}

/// A thread of its own for questions that block.
actor Inspector {
    private let thread = BlockingThread(name: "pg-inspect")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    fileprivate func status(
        _ settings: PostgresSettings, _ checkpoint: SourceCheckpoint?
    ) throws(ConnectorFailure) -> PostgresStatus {
        let side = SideConnection(url: settings.url, applicationName: settings.applicationName)
        return try PostgresStatus(settings, side, checkpoint)
    }

    /// The captured tables with their captured columns; nil when the server could not be asked.
    func tables(_ settings: PostgresSettings) -> [TableColumns]? {
        let side = SideConnection(url: settings.url)
        do throws(ConnectorFailure) {
            var tables: [TableColumns] = []
            for table in try TableSelection(settings, side).tables {
                let content = try TableContent(table, side)
                tables.append(
                    TableColumns(
                        schema: table.schema, table: table.name,
                        columns: content.columns.filter { table.choice?.keeps($0) ?? true },
                        key: content.identities.reduce(into: []) { $0.formUnion($1.columns) }))
            }
            return tables
        } catch {
            return nil
        }
    }

    /// What ``PostgresDoctor`` finds.
    func findings(_ settings: PostgresSettings, _ log: PostgresDoctor.LogMemory?) -> [Finding] {
        var examination = Examination(settings: settings, log: log)
        examination.run()
        return examination.findings
    }
}

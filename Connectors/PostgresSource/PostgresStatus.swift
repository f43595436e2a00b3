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

    /// Asks the server over a connection of its own. `position` is what the log holds; nil leaves the lag out.
    package static func look(
        _ settings: PostgresSettings, at position: ResumePosition?
    ) async throws(ConnectorFailure) -> PostgresStatus {
        try await Inspector().status(settings, position)
    }

    fileprivate init(_ settings: PostgresSettings, _ side: SideConnection, _ position: ResumePosition?)
        throws(ConnectorFailure)
    {
        let end = try WALEnd(side).position
        let state = try SlotState.find(settings.slot, side)
        slot = settings.slot
        exists = state != nil
        activeProcess = state?.activeProcess
        confirmed = state?.confirmed
        restart = state?.restart
        serverEnd = end
        retainedBytes = state?.retainedBytes
        lagBytes = position.map { Int(clamping: end.value - min(end.value, $0.value)) }
        walStatus = state?.walStatus
        safeBytes = state?.safeBytes
    }
}

/// A thread of its own for questions that block.
actor Inspector {
    private let thread = BlockingThread(name: "pg-inspect")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    fileprivate func status(
        _ settings: PostgresSettings, _ position: ResumePosition?
    ) throws(ConnectorFailure) -> PostgresStatus {
        let side = SideConnection(url: settings.url, applicationName: settings.applicationName)
        return try PostgresStatus(settings, side, position)
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
    func findings(_ settings: PostgresSettings) -> [Finding] {
        var examination = Examination(settings: settings)
        examination.run()
        return examination.findings
    }
}

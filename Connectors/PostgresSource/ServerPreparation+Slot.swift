internal import ChangeModel
internal import ConnectorKit

/// Making a slot, which takes as long as the transactions that run at that moment.
extension ServerPreparation {
    /// So soon it is told whom a new slot waits for, and again after each of the later spans.
    private static let firstLook = Duration.seconds(1)
    private static let lookInterval = Duration.seconds(10)

    /// Makes the slot and returns its position. The server waits for every transaction that runs now; the wait is
    /// shown, and ends when the task is cancelled: the server then gives up what is not complete.
    func createSlot(_ connection: PostgresConnection, _ facts: ServerFacts) throws(ConnectorFailure) -> LSN {
        let name = settings.slot
        let isCarriedOver = settings.isFailoverWanted && facts.versionNumber >= 170_000 && !facts.isInRecovery
        let command =
            "CREATE_REPLICATION_SLOT \(SQLText.identifier(name)) LOGICAL pgoutput "
            + (isCarriedOver ? "(SNAPSHOT 'nothing', FAILOVER)" : "NOEXPORT_SNAPSHOT")
        notice("slot \"\(name)\" is missing: \(command)")
        var nextLook = Self.firstLook
        var primary = isStandby ? settings.snapshotURL.map { PrimaryNudge(url: $0, settings) } : nil
        do throws(ServerError) {
            let result = try connection.execute(command, within: .seconds(86_400)) { waited in
                primary?.nudge(after: waited)
                guard waited >= nextLook else { return true }
                let failure = slotWaits()
                waiting(failure)
                if nextLook > Self.firstLook {
                    notice("\(failure.message) (\(waited.components.seconds) s so far); \(failure.hint ?? "")")
                }
                nextLook = nextLook > Self.firstLook ? nextLook + Self.lookInterval : Self.lookInterval
                return true
            }
            guard let position = result.first?["consistent_point"].flatMap({ LSN($0) }) else {
                throw ServerError(sqlState: nil, message: "no consistent point for the new slot")
            }
            return position
        } catch {
            if error.sqlState == "42501" { throw PostgresFailure.noReplicationPrivilege(role: facts.role) }
            throw PostgresFailure.because(of: error, .creatingSlot(name))
        }
    }

    /// What the new slot waits for, as far as it can be seen. A primary without work tells its standbys nothing.
    private func slotWaits() -> ConnectorFailure {
        if isStandby { return PostgresFailure.slotWaitsForPrimary(settings.slot) }
        return PostgresFailure.slotWaits(settings.slot, for: try? TransactionHolder.oldest(side))
    }
}

internal import ConnectorKit
internal import Synchronization

/// Naming those who keep rows from being read.
extension SnapshotWorker {
    /// Finds out, now and then, which transaction makes chunks void.
    func lookWhatHoldsUp(_ name: String) throws(Obstacle) {
        guard coordinator.isHoldToBeLookedAt else { return }
        let row = try execute(TransactionHolder.query, on: try connection()).first
        let failure = PostgresFailure.snapshotWaits(name, for: row.map { TransactionHolder($0) })
        if coordinator.isHeld(by: failure) { coordinator.notice("\(failure.message); \(failure.hint ?? "")") }
    }

    /// Who has locked a table, if that can be found out.
    func whatLocks(_ table: UInt32, _ name: String) -> ConnectorFailure {
        do throws(Obstacle) {
            if let row = try execute(TransactionHolder.lockQuery, [String(table)], on: try connection()).first {
                return PostgresFailure.snapshotWaits(name, forLockOf: TransactionHolder(row))
            }
            if let row = try execute(TransactionHolder.queueQuery, [String(table)], on: try connection()).first {
                return PostgresFailure.snapshotWaits(name, forQueueBehind: TransactionHolder(row))
            }
        } catch {
            // Then without a name.
        }
        return PostgresFailure.snapshotWaits(name, forLockOf: nil)
    }
}

extension SnapshotWorker {
    /// What the role lacks to read a table; the server's own word where it seems to lack nothing.
    func whatIsLacking(_ table: UInt32, _ refusal: ConnectorFailure) -> ConnectorFailure {
        do throws(Obstacle) {
            let arguments = [TableSelection.array([table])]
            let found = try execute(TableSelection.readingQuery, arguments, on: try connection())
            return TableSelection.obstacle(found) ?? refusal
        } catch {
            return refusal
        }
    }
}

extension SnapshotCoordinator {
    /// Why no rows are told although there are some to be read; nil while they are, or for less than a moment.
    var obstacle: ConnectorFailure? { state.withLock { $0.notes.isFinished ? nil : $0.hold.failure } }

    /// True when it is time to look for who keeps chunks from being told.
    var isHoldToBeLookedAt: Bool { state.withLock { $0.hold.isLookDue() } }

    /// Notes for whom chunks are thrown away; true when it is to be said.
    func isHeld(by failure: ConnectorFailure) -> Bool { state.withLock { $0.hold.takes(failure) } }

    /// Notes why a table cannot be read for now.
    func meets(_ failure: ConnectorFailure) { state.withLock { $0.hold.meets(failure) } }
}

import ChangeModel
import ConnectorKit
import EventLog

extension CaptureStage {
    /// Puts what is kept of a batch into the log, and what is not beside it, by one commit. Nil when asked to stop
    /// before it worked.
    ///
    /// While there is no room for dead letters, people may make some: their requests are carried out, and what they
    /// accepted is released.
    mutating func store(
        _ sorted: Quarantine.Sorted, _ turn: inout Turn
    ) async throws(ConnectorFailure) -> LoggedBatch? {
        if sorted.letters.isEmpty {
            return try await patiently { (stage) async throws(ConnectorFailure) in
                try await stage.log.append(sorted.batch, versions: sorted.versions)
            }
        }
        var isAgain = false
        let logged = try await patiently { (stage) async throws(ConnectorFailure) in
            if isAgain {
                try await stage.carryOutRequests(&turn)
                try await stage.releaseAccepted(&turn)
            }
            isAgain = true
            return try await stage.quarantine.log.append(
                sorted.batch, versions: sorted.versions, settingAside: sorted.letters)
        }
        if logged != nil { quarantine.wasSetAside(sorted) }
        return logged
    }

    /// Shows sinks what somebody accepted meanwhile.
    mutating func releaseAccepted(_ turn: inout Turn) async throws(ConnectorFailure) {
        guard quarantine.isDue else { return }
        publish(try await quarantine.releaseAccepted(), &turn)
    }

    /// Releases what a person asked for, and says what became of it.
    mutating func release(
        _ subjects: [String], asIn request: OperatorRequest, _ turn: inout Turn
    ) async throws(ConnectorFailure) {
        var lines: [String] = []
        var isDone = true
        for subject in subjects {
            var count = 0
            while true {
                let step = try await quarantine.release(subject)
                publish(step.batches, &turn)
                count += step.changeCount
                if step.isUnfinished { continue }
                if let refusal = step.refusal { lines.append(refusal.message) }
                isDone = isDone && step.refusal == nil
                break
            }
            lines.append("\(counted(count, "change")) of \(subject) released")
        }
        desk.answer(request, RequestOutcome(isDone: isDone, text: lines.joined(separator: "; ")))
    }

    /// Discards what a person asked for, and says so.
    mutating func discard(
        _ subject: String, through last: Int64, asIn request: OperatorRequest
    ) async throws(ConnectorFailure) {
        let count = try await quarantine.discard(subject, through: last)
        desk.answer(request, RequestOutcome(isDone: true, text: "\(counted(count, "change")) of \(subject) discarded"))
    }

    /// Discards what is not valid of what waits, shows sinks what waited for that alone, and says so.
    mutating func discardInvalid(
        _ subject: String, through last: Int64, asIn request: OperatorRequest, _ turn: inout Turn
    ) async throws(ConnectorFailure) {
        var (discarded, released) = (0, 0)
        var first: Int64? = last
        while true {
            let step = try await quarantine.discardInvalid(subject, through: first)
            first = nil
            publish(step.batches, &turn)
            discarded += step.discardedCount
            released += step.changeCount
            if !step.isUnfinished { break }
        }
        desk.answer(
            request,
            RequestOutcome(
                isDone: true,
                text: "\(counted(discarded, "change")) of \(subject) discarded, \(released) released"))
    }

    private mutating func publish(_ batches: [LoggedBatch], _ turn: inout Turn) {
        // Released rows of an outbox may have been updates and deletes only.
        for batch in batches where batch.batch.changeCount > 0 { feed.publish(batch) }
        loggedEnd = max(loggedEnd, batches.last?.nextOffset ?? 0)
        if !batches.isEmpty { turn.unsyncedSince = turn.unsyncedSince ?? .now }
    }
}

import ChangeModel
import ConnectorKit

/// How long a run that is to end waits for what the source itself waits for.
extension CaptureStage {
    /// Opens the source. What it waits for there ends when asked to stop, and when it takes longer than a run that is
    /// to end may wait.
    mutating func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity {
        let (source, progress, patience) = (source, progress, patience)
        let outlasted = Slot<ConnectorFailure>()
        let opened = await stop.cancelling(when: {
            outlasted.value = await Self.watch(source, progress, patience)
            return outlasted.value != nil
        }) { () async -> Result<SourceIdentity, ConnectorFailure> in
            do throws(ConnectorFailure) {
                return .success(try await source.open(resumingAfter: checkpoint, of: expected))
            } catch {
                return .failure(error)
            }
        }
        if case .failure = opened, let obstacle = outlasted.value {
            self.patience.spend()
            throw obstacle
        }
        return try opened.get()
    }

    /// Looks what the source waits for while it is being opened. Ends with it when that lasts too long, and with nil
    /// when the task is cancelled.
    private static func watch(
        _ source: any ChangeSource, _ progress: PipelineProgress, _ patience: Patience
    ) async -> ConnectorFailure? {
        var patience = patience
        while !Task.isCancelled {
            try? await Task.sleep(for: idleInterval)
            guard let obstacle = source.obstacle else { continue }
            progress.waits(for: obstacle)
            patience.failed()
            if patience.isOver { return obstacle }
        }
        return nil
    }

    /// Notes that the source got on, or that it does not. Changes from beyond the end of the run are no progress of
    /// its own while the source waits for something before it can be complete.
    mutating func judgeProgress(_ batch: ChangeBatch, _ turn: Turn) throws(ConnectorFailure) {
        // An answer without changes proves little: many a source can still say that much just before it fails again.
        let hasProof = batch.changeCount > 0 || ContinuousClock.now - turn.openedAt >= Backoff.pauseMax
        if hasProof { backoff.reset() }
        if let target, let reached = turn.appended?.resume, reached >= target, let obstacle = source.obstacle {
            patience.failed()
            if patience.isOver { throw obstacle }
        } else if hasProof {
            patience.gotOn()
        }
    }
}

import ChangeModel
import ConnectorKit
import EventLog

extension CaptureStage {
    /// Requests that the source took and no durable checkpoint remembers yet.
    struct AskedSnapshots {
        private(set) var requests: [(request: OperatorRequest, snapshot: SnapshotRequest)] = []

        var isEmpty: Bool { requests.isEmpty }

        mutating func add(_ request: OperatorRequest, _ snapshot: SnapshotRequest) {
            requests.append((request, snapshot))
        }

        /// True when a checkpoint remembers one of them.
        func isAnyRemembered(in checkpoint: SourceCheckpoint, by source: any ChangeSource) -> Bool {
            requests.contains { source.remembers($0.snapshot, in: checkpoint) }
        }

        /// True when a checkpoint remembers each of them: only such a one tells whether they are complete.
        func areAllRemembered(in checkpoint: SourceCheckpoint, by source: any ChangeSource) -> Bool {
            requests.allSatisfy { source.remembers($0.snapshot, in: checkpoint) }
        }

        /// Removes and returns those that a checkpoint remembers.
        mutating func take(rememberedIn checkpoint: SourceCheckpoint, by source: any ChangeSource) -> [OperatorRequest]
        {
            let done = requests.filter { source.remembers($0.snapshot, in: checkpoint) }.map(\.request)
            requests.removeAll { source.remembers($0.snapshot, in: checkpoint) }
            return done
        }
    }

    /// Begins what people asked for since the last batch.
    mutating func carryOutRequests(_ turn: inout Turn) async throws(ConnectorFailure) {
        while let request = desk.next() {
            switch request.action {
            case .snapshot(let tables):
                let snapshot = SnapshotRequest(id: request.id, tables: tables.map { TablePattern($0) })
                do throws(ConnectorFailure) {
                    try await source.requestSnapshot(snapshot)
                    turn.asked.add(request, snapshot)
                } catch {
                    guard error.remedy != .retry else {
                        desk.postpone(request)
                        throw error
                    }
                    desk.answer(request, RequestOutcome(isDone: false, text: Self.refusal(error)))
                }
            case .releaseDeadLetters(let subjects): try await release(subjects, asIn: request, &turn)
            case .discardDeadLetters(let subject, let last):
                try await discard(subject, through: last, asIn: request)
            case .discardInvalidRows(let subject, let last):
                try await discardInvalid(subject, through: last, asIn: request, &turn)
            // The desk hands these to the sinks.
            case .redeliver, .replay: break
            }
        }
    }

    /// A failure with what mends it, for whoever asked.
    private static func refusal(_ failure: ConnectorFailure) -> String {
        "[\(failure.code)] \(failure.message)" + (failure.hint.map { "; \($0)" } ?? "")
    }

    /// Answers the requests that the next start would remember too.
    func answerRemembered(_ asked: inout AskedSnapshots, in durable: SourceCheckpoint) {
        if asked.isEmpty { return }
        for request in asked.take(rememberedIn: durable, by: source) {
            desk.answer(request, RequestOutcome(isDone: true, text: "the snapshot was begun"))
        }
    }
}

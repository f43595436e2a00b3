import ConnectorKit
import EventLog
import Logging

/// What a receipt does to the log: nothing of it, or all.
struct CursorMove {
    var letters: [DeadLetter]
    var durable: UInt64
    var state: [UInt8]?
    var eventsPerSecond: Double?
}

/// The log may have no room for what a sink did.
extension DeliveryStage {
    /// How long at most passes before it is tried again whether dead letters have room.
    private static let roomInterval = Duration.seconds(5)

    /// Moves the cursor, with what is set aside before it. The log may have no room now: then it is repeated, and the
    /// sink stays open meanwhile, because opening it again would only write all again.
    ///
    /// False when the cursor is where it was: the stage is to stop, or dead letters have no room, in the log or on its
    /// disk, and somebody asked for something of this sink. What is asked then is likely what makes room, so it must
    /// not wait for room. A retry and a replay need a sink of which nothing is under way: what it was given behind the
    /// cursor would come between, and what it refused has no place to wait in. So the receipt is let go. The sink is
    /// opened at its cursor, does what was asked, and is given the same events again under their ids: nothing is lost,
    /// and keys keep order. That happens once for each request and never by itself, so a receiver is not flooded with
    /// what it has.
    mutating func store(_ move: CursorMove, _ turn: inout Turn) async throws(ConnectorFailure) -> Bool {
        var pauses = Backoff()
        var tries = Patience(limit: patience.limit)
        var toldAt: ContinuousClock.Instant?
        while true {
            do throws(ConnectorFailure) {
                try await apply(move)
                return true
            } catch {
                guard error.remedy == .retry else { throw error }
                if stop.isRequested { return stopped(&turn) }
                tries.failed()
                if tries.isOver {
                    patience.spend()
                    throw error
                }
                let isFull = Self.lacksRoomForLetters(error, move)
                var pause = tries.shortened(pauses.nextPause())
                if isFull { pause = min(pause, Self.roomInterval) }
                // The same line every five seconds for days helps nobody.
                if toldAt.map({ !isFull || ContinuousClock.now - $0 >= Backoff.pauseMax }) ?? true {
                    toldAt = .now
                    logger.error("delivery waits", metadata: .failure(error, retryIn: pause))
                }
                hasStoredError = true
                try? await log.setError(of: plan.name, error, retryIn: pause)
                await waitForRoom(upTo: pause, isFull, &turn)
                if turn.isGivenUp { return false }
                if stop.isRequested { return stopped(&turn) }
            }
        }
    }

    private func apply(_ move: CursorMove) async throws(ConnectorFailure) {
        if move.letters.isEmpty {
            try await log.moveCursor(
                of: plan.name, to: move.durable, state: move.state, eventsPerSecond: move.eventsPerSecond)
        } else {
            try await log.setAside(move.letters, for: plan.name, movingCursorTo: move.durable, state: move.state)
        }
    }

    /// True when letters have no room that retries and discards make. A cursor alone has all of the log's reserve.
    private static func lacksRoomForLetters(_ failure: ConnectorFailure, _ move: CursorMove) -> Bool {
        failure.code == EventLog.deadLettersFullCode
            || failure.code == EventLog.diskFullCode && !move.letters.isEmpty
    }

    private func stopped(_ turn: inout Turn) -> Bool {
        turn.isCursorBehind = true
        return false
    }

    /// Waits for a while. Gives up what waits when dead letters have no room and somebody asks for something.
    private func waitForRoom(upTo pause: Duration, _ isFull: Bool, _ turn: inout Turn) async {
        let end = ContinuousClock.now + pause
        while !stop.isRequested, ContinuousClock.now < end {
            if isFull, turn.isAsked || desk.hasRequest(for: plan.name) {
                turn.isGivenUp = true
                return
            }
            await stop.wait(upTo: min(end - .now, Self.requestInterval))
        }
    }
}

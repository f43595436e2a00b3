internal import ConnectorKit
internal import EventLog

/// Giving out.
extension SubscriptionDesk {
    /// What a consumer gets.
    package struct Answer: Sendable {
        /// The answer, as JSON.
        package var bytes: [UInt8]
        /// To be called when the consumer has it, or never will; nil for an answer that costs little.
        package var taken: (@Sendable () -> Void)?
    }

    /// What came of one look for events.
    private enum Look {
        /// An answer with events.
        case events(Answer)
        /// None yet, but there is more of the log to look at.
        case more
        /// None yet, because too much is on its way to other consumers.
        case crowded
        /// None, until something happens. With how often the line was woken until then.
        case nothing(SubscriptionLine, wakeCount: Int)
    }

    /// How many pieces of the log one look takes: then others have their turn.
    private static let piecesInALook = 4
    /// Stands for all subscriptions where turns are taken; none has this name.
    private static let making = ""
    /// How long the log is looked through on behalf of a consumer that does not wait.
    private static let searchTime = Duration.seconds(10)

    /// Gives out events; waits for some for a while when there are none. None when the task is cancelled.
    ///
    /// `cut` is to end the consumer's connection: it is called when it takes too long over a large answer while others
    /// wait.
    package func pull(
        _ name: String, countMax: Int, wait: Duration, cut: @escaping @Sendable () -> Void = {}
    ) async throws(Refusal) -> Answer {
        let start = ContinuousClock.now
        let deadline = start + wait
        let ticket = room.ticket()
        var isServed = false
        defer { if !isServed { room.giveBack(ticket) } }
        while true {
            switch try await look(name, countMax, ticket, cut) {
            case .events(let answer):
                isServed = answer.taken != nil
                return answer
            case .more:
                if ContinuousClock.now >= max(deadline, start + Self.searchTime) || Task.isCancelled {
                    return Answer(bytes: Self.answer([], epoch: 0))
                }
                await Task.yield()
            case .crowded:
                if Task.isCancelled { return Answer(bytes: Self.answer([], epoch: 0)) }
                let end = max(deadline, start + Self.searchTime)
                guard ContinuousClock.now < end else { throw .failure(EventFailure.crowded()) }
                await room.turn(of: ticket, until: end)
            case .nothing(let line, let wakeCount):
                if ContinuousClock.now >= deadline || Task.isCancelled {
                    return Answer(bytes: Self.answer([], epoch: 0))
                }
                // What happened since the look is looked at, not slept through.
                if lines[name] === line, line.wakeCount == wakeCount { await sleep(line, until: deadline) }
            }
        }
    }

    private func look(
        _ name: String, _ countMax: Int, _ ticket: StreamRoom.Ticket, _ cut: @escaping @Sendable () -> Void
    ) async throws(Refusal) -> Look {
        await takeTurn(name)
        defer { endTurn(name) }
        do throws(Refusal) {
            let line = try await line(name)
            if Task.isCancelled { return .nothing(line, wakeCount: line.wakeCount) }
            // How long the answer will be shows when it is there: so one is made at a time, whatever it is of.
            await takeTurn(Self.making)
            defer { endTurn(Self.making) }
            guard room.take(2 * StreamRoom.freeBytes, for: ticket, letGo: {}) else { return .crowded }
            defer { keepWarm(line) }
            let look = try await collect(line, countMax)
            note(nil, of: name)
            guard case .events(var answer) = look, answer.bytes.count > StreamRoom.freeBytes else {
                room.giveBack(ticket)
                return look
            }
            let time = StreamRoom.time(for: answer.bytes.count, patience: patience)
            room.hold(answer.bytes.count, for: ticket, time: time, letGo: cut)
            answer.taken = { [room] in room.giveBack(ticket) }
            return .events(answer)
        } catch {
            if case .failure(let failure) = error { note(failure, of: name) }
            throw error
        }
    }

    private func collect(_ line: SubscriptionLine, _ countMax: Int) async throws(Refusal) -> Look {
        var leases: [SubscriptionState.Lease] = []
        do throws(ConnectorFailure) {
            let end = try open().feed.nextOffset
            let wakeCount = line.wakeCount
            leases = line.state.lease(countMax, now: UTCTime.now())
            var pieceCount = 0
            while leases.count < countMax, line.state.leaseMax > 0, pieceCount < Self.piecesInALook,
                try line.scan(before: end)
            {
                // What takes long to read is enough for one look.
                pieceCount += line.lastBatchBytes > StreamRoom.freeBytes ? Self.piecesInALook : 1
                leases += line.state.lease(countMax - leases.count, now: UTCTime.now())
            }
            let deliveries = try line.deliveries(of: leases)
            leases = deliveries.map(\.lease)
            try await store(line, isEager: !deliveries.isEmpty)
            if !deliveries.isEmpty {
                return .events(Answer(bytes: Self.answer(deliveries, epoch: line.stored.epoch)))
            }
            return pieceCount >= Self.piecesInALook ? .more : .nothing(line, wakeCount: wakeCount)
        } catch {
            line.state.withdraw(leases)
            throw .failure(error)
        }
    }

    private static func answer(_ deliveries: [SubscriptionLine.Delivery], epoch: Int64) -> [UInt8] {
        var bytes = Array("{\"events\":[".utf8)
        bytes.reserveCapacity(deliveries.reduce(64) { $0 + $1.bytes.count + 100 })
        for (index, delivery) in deliveries.enumerated() {
            let receipt = Receipt(delivery.lease, epoch: epoch)
            let head =
                "{\"receipt\":\"\(receipt.text)\",\"offset\":\(delivery.lease.offset),"
                + "\"delivery\":\(delivery.lease.delivery),\"event\":"
            bytes += (index == 0 ? head : "," + head).utf8
            bytes += delivery.bytes
            bytes.append(UInt8(ascii: "}"))
        }
        bytes += "]}".utf8
        return bytes
    }

    /// Waits until there may be something to give out, or `deadline` has passed, or the task is cancelled.
    private func sleep(_ line: SubscriptionLine, until deadline: ContinuousClock.Instant) async {
        guard let feed = feed() else { return }
        var time = deadline
        if let due = line.state.nextTime {
            time = min(time, .now + .microseconds(max(0, due - UTCTime.now()) + 1000))
        }
        // More of the log matters only while there is room to remember it.
        let next = line.state.room > 0 && line.state.leaseMax > 0 ? line.state.next : .max - 1
        let number = line.nextSleeper()
        let sleeper = Task { [time] in await feed.wait(for: next, until: time) }
        line.sleepers[number] = sleeper
        await withTaskCancellationHandler {
            await sleeper.value
        } onCancel: {
            sleeper.cancel()
        }
        line.sleepers[number] = nil
    }
}

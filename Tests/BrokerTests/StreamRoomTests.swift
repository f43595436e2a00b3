import Synchronization
import Testing

@testable import Broker

@Suite(.timeLimit(.minutes(2)))
struct StreamRoomTests {
    /// How often somebody was asked to let go.
    private final class Asked: Sendable {
        private let number = Mutex(0)
        var count: Int { number.withLock { $0 } }
        func add() { number.withLock { $0 += 1 } }
    }

    private func takes(
        _ byteCount: Int, _ ticket: StreamRoom.Ticket, _ room: StreamRoom, _ asked: Asked = Asked()
    ) -> Bool {
        room.take(byteCount, for: ticket) { asked.add() }
    }

    @Test func whoComesFirstIsServedFirst() {
        let room = StreamRoom(bytesMax: 100, slice: .seconds(3600))
        let tickets = (0..<3).map { _ in room.ticket() }
        #expect(takes(80, tickets[0], room))
        #expect(!takes(50, tickets[1], room))
        #expect(!takes(10, tickets[2], room), "there is room, but another one is before")
        room.giveBack(tickets[0])
        #expect(!takes(10, tickets[2], room))
        #expect(takes(50, tickets[1], room))
        #expect(takes(10, tickets[2], room))
        #expect(room.byteCount == 60)
        for ticket in tickets { room.giveBack(ticket) }
        #expect(room.byteCount == 0 && !room.isAwaited)
    }

    @Test func whoIsAloneMayHoldMoreThanThereIsRoomFor() {
        let room = StreamRoom(bytesMax: 100)
        let (first, second) = (room.ticket(), room.ticket())
        #expect(takes(1000, first, room))
        #expect(!takes(1, second, room))
        room.giveBack(first)
        #expect(takes(1, second, room))
    }

    @Test func whoHadItsTimeIsAskedToLetGoWhenSomebodyWaits() {
        let room = StreamRoom(bytesMax: 100, slice: .zero)
        let (first, second) = (room.ticket(), room.ticket())
        let asked = Asked()
        #expect(takes(80, first, room, asked))
        #expect(takes(20, second, room))
        #expect(asked.count == 0, "there is room")
        room.giveBack(second)
        #expect(!takes(50, second, room))
        #expect(asked.count == 1)
        room.hold(90, for: first, time: .seconds(3600)) { asked.add() }
        #expect(!takes(50, second, room))
        #expect(asked.count == 1, "it has its time still")
        #expect(room.byteCount == 90)
    }

    @Test func nobodyWaitsForOneInTheLineWhoIsAway() {
        let room = StreamRoom(bytesMax: 100, absence: .zero)
        let tickets = (0..<3).map { _ in room.ticket() }
        #expect(takes(80, tickets[0], room))
        #expect(!takes(50, tickets[1], room))
        #expect(!takes(50, tickets[2], room))
        room.giveBack(tickets[0])
        #expect(takes(50, tickets[2], room))
        #expect(room.isAwaited)
        #expect(takes(50, tickets[1], room))
        #expect(!room.isAwaited)
    }

    // MARK: Waiting

    /// Waits for a turn, far longer than any test.
    private func wait(_ ticket: StreamRoom.Ticket, _ room: StreamRoom) -> Task<Void, Never> {
        Task { await room.turn(of: ticket, until: .now + .seconds(3600)) }
    }

    private func sleepers(_ count: Int, _ room: StreamRoom) async {
        while room.sleeperCount != count { await Task.yield() }
    }

    @Test func whoSleepsIsWokenInTheOrderOfTheLineWhenRoomIsGivenBack() async {
        let room = StreamRoom(bytesMax: 100, slice: .seconds(3600), absence: .seconds(3600))
        let tickets = (0..<4).map { _ in room.ticket() }
        #expect(takes(80, tickets[0], room))
        for ticket in tickets[1...] { #expect(!takes(50, ticket, room)) }
        let waits = tickets[1...].map { wait($0, room) }
        await sleepers(3, room)
        room.giveBack(tickets[0])
        await waits[0].value
        #expect(room.sleeperCount == 2, "there is room for two, but the first one has not taken its part")
        #expect(takes(50, tickets[1], room))
        await waits[1].value
        #expect(takes(50, tickets[2], room))
        #expect(room.sleeperCount == 1, "there is no room for a third one")
        room.giveBack(tickets[1])
        await waits[2].value
        #expect(takes(50, tickets[3], room))
        #expect(!room.isAwaited && room.byteCount == 100)
    }

    @Test func whoStopsLeavesTheLineAndTheNextOneIsWoken() async {
        let room = StreamRoom(bytesMax: 100, slice: .seconds(3600), absence: .seconds(3600))
        let (holder, large, small) = (room.ticket(), room.ticket(), room.ticket())
        #expect(takes(80, holder, room))
        #expect(!takes(50, large, room) && !takes(10, small, room))
        let waits = [wait(large, room), wait(small, room)]
        await sleepers(2, room)
        waits[0].cancel()
        await waits[0].value
        await waits[1].value
        #expect(takes(10, small, room))
        #expect(!room.isAwaited)
        // One that was stopped before it slept, and one whose client is gone, sleep no more either.
        #expect(!takes(50, large, room))
        let stopped = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            await room.turn(of: large, until: .now + .seconds(3600))
        }
        await stopped.value
        #expect(!room.isAwaited)
        #expect(!takes(50, large, room))
        let gone = wait(large, room)
        await sleepers(1, room)
        room.giveBack(large)
        await gone.value
        #expect(!room.isAwaited && room.byteCount == 90)
    }

    @Test func oneThatWasWokenAndDoesNotAskIsPassedOverAndKeepsItsPlace() async {
        let room = StreamRoom(bytesMax: 100, slice: .seconds(3600), absence: .milliseconds(20))
        let tickets = (0..<4).map { _ in room.ticket() }
        #expect(takes(80, tickets[0], room))
        for ticket in tickets[1...2] { #expect(!takes(60, ticket, room)) }
        let waits = tickets[1...2].map { wait($0, room) }
        await sleepers(2, room)
        room.giveBack(tickets[0])
        for wait in waits { await wait.value }
        #expect(takes(60, tickets[2], room))
        #expect(!takes(60, tickets[3], room))
        let last = wait(tickets[3], room)
        await sleepers(1, room)
        #expect(!takes(60, tickets[1], room))
        let late = wait(tickets[1], room)
        await sleepers(2, room)
        room.giveBack(tickets[2])
        await late.value
        #expect(takes(60, tickets[1], room), "it stood before the other one all the time")
        room.giveBack(tickets[1])
        await last.value
        #expect(takes(60, tickets[3], room))
    }

    @Test func whoHoldsOnIsAskedToLetGoWhenItsTimeIsOverWhileSomebodySleeps() async {
        let room = StreamRoom(bytesMax: 100, slice: .milliseconds(20))
        let (first, second) = (room.ticket(), room.ticket())
        let asked = Asked()
        // It is deaf once, as one is that reads just then.
        let isGranted = room.take(80, for: first) { [weak room] in
            asked.add()
            if asked.count > 1 { room?.giveBack(first) }
        }
        #expect(isGranted)
        while !takes(50, second, room) { await room.turn(of: second, until: .now + .seconds(3600)) }
        #expect(asked.count == 2)
        room.giveBack(second)
        #expect(room.byteCount == 0 && !room.isAwaited)
    }

    @Test func whoseTimeToWaitIsOverKeepsItsPlace() async {
        let room = StreamRoom(bytesMax: 100, slice: .seconds(3600), absence: .seconds(3600))
        let tickets = (0..<3).map { _ in room.ticket() }
        #expect(takes(80, tickets[0], room))
        for ticket in tickets[1...] { #expect(!takes(50, ticket, room)) }
        await room.turn(of: tickets[1], until: .now)
        await room.turn(of: tickets[1], until: .now + .milliseconds(5))
        room.giveBack(tickets[0])
        #expect(!takes(50, tickets[2], room))
        #expect(takes(50, tickets[1], room))
    }

    @Test func manyWhoComeAndStopLeaveNothingBehind() async {
        let room = StreamRoom(bytesMax: 100, slice: .zero, absence: .milliseconds(1))
        await withTaskGroup { group in
            for number in 0..<200 {
                group.addTask {
                    let ticket = room.ticket()
                    while !Task.isCancelled, !room.take(30, for: ticket, letGo: {}) {
                        await room.turn(of: ticket, until: .now + .seconds(3600))
                    }
                    #expect(room.byteCount <= 100)
                    for _ in 0..<number % 7 { await Task.yield() }
                    room.giveBack(ticket)
                }
                if number % 50 == 49 { group.cancelAll() }
            }
        }
        #expect(room.byteCount == 0 && !room.isAwaited)
    }
}

import Synchronization
import Testing

@testable import Broker

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
}

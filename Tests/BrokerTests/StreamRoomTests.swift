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

    @Test func whoComesFirstIsServedFirst() {
        let room = StreamRoom(bytesMax: 100, slice: .seconds(3600))
        let tickets = (0..<3).map { _ in room.ticket() }
        #expect(room.take(80, for: tickets[0]) {})
        #expect(!room.take(50, for: tickets[1]) {})
        #expect(!room.take(10, for: tickets[2], letGo: {}), "there is room, but another one is before")
        room.giveBack(tickets[0])
        #expect(!room.take(10, for: tickets[2]) {})
        #expect(room.take(50, for: tickets[1]) {} && room.take(10, for: tickets[2], letGo: {}))
        #expect(room.byteCount == 60)
        for ticket in tickets { room.giveBack(ticket) }
        #expect(room.byteCount == 0 && !room.isAwaited)
    }

    @Test func whoIsAloneMayHoldMoreThanThereIsRoomFor() {
        let room = StreamRoom(bytesMax: 100)
        let (first, second) = (room.ticket(), room.ticket())
        #expect(room.take(1000, for: first) {})
        #expect(!room.take(1, for: second) {})
        room.giveBack(first)
        #expect(room.take(1, for: second) {})
    }

    @Test func whoHadItsTimeIsAskedToLetGoWhenSomebodyWaits() {
        let room = StreamRoom(bytesMax: 100, slice: .zero)
        let (first, second) = (room.ticket(), room.ticket())
        let asked = Asked()
        #expect(room.take(80, for: first) { asked.add() })
        #expect(room.take(20, for: second) {} && asked.count == 0, "there is room")
        room.giveBack(second)
        #expect(!room.take(50, for: second) {} && asked.count == 1)
        room.hold(90, for: first, time: .seconds(3600)) { asked.add() }
        #expect(!room.take(50, for: second) {} && asked.count == 1, "it has its time still")
        #expect(room.byteCount == 90)
    }

    @Test func nobodyWaitsForOneInTheLineWhoIsAway() {
        let room = StreamRoom(bytesMax: 100, absence: .zero)
        let tickets = (0..<3).map { _ in room.ticket() }
        #expect(room.take(80, for: tickets[0]) {})
        #expect(!room.take(50, for: tickets[1]) {} && !room.take(50, for: tickets[2], letGo: {}))
        room.giveBack(tickets[0])
        #expect(room.take(50, for: tickets[2]) {})
        #expect(room.isAwaited && room.take(50, for: tickets[1]) {} && !room.isAwaited)
    }
}

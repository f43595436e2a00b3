import ConnectorKit
import EventFormat
import Foundation
import Synchronization
import Testing

@testable import Broker

/// Streams of a real log.
struct EventStreamTests {
    private let place: LogUnderTest

    init() throws { place = try LogUnderTest() }

    private var everything: EventDesk.Request {
        var request = EventDesk.Request()
        request.view.clearance = .everything
        return request
    }

    private enum Word: Equatable {
        case piece, end, broken
    }

    /// What comes next for a client that is gone, or a program that ends.
    private func nextOfCancelled(_ stream: EventStream) async -> Word {
        await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await word(stream)
        }.value
    }

    private func word(_ stream: EventStream) async -> Word {
        switch await stream.next() {
        case .piece: .piece
        case .end: .end
        case .broken: .broken
        }
    }

    @Test func anAnswerThatHasAnEndAndIsCutBeforeItDoesNotSeemWhole() async throws {
        for commit in 1...3 as ClosedRange<UInt64> { try await place.commit(commit, ids: [1], noteBytes: 100_000) }
        let desk = place.events()
        var limited = everything
        (limited.follows, limited.countMax) = (true, 2)
        for request in [everything, limited] {
            let cut = try await desk.stream(request)
            #expect(await word(cut) == .piece)
            #expect(await nextOfCancelled(cut) == .broken)
            desk.close(cut)
            let whole = try await desk.stream(request)
            var words: [Word] = []
            repeat { words.append(await word(whole)) } while words.last == .piece
            #expect(words.last == .end && words.count == (request.follows ? 3 : 4))
            #expect(await nextOfCancelled(whole) == .end, "it was there before the client went")
            desk.close(whole)
        }
        var endless = everything
        endless.follows = true
        let stream = try await desk.stream(endless)
        #expect(await nextOfCancelled(stream) == .end, "what has no end is whole wherever it ends")
        desk.close(stream)
    }

    @Test func moreStreamsThanThereMayBeAreToldSo() async throws {
        try await place.commit(1, ids: [1])
        var limits = EventDesk.Limits()
        limits.streamCountMax = 2
        let desk = place.events(limits)
        let first = try await desk.stream(everything)
        _ = try await desk.stream(everything)
        do throws(ConnectorFailure) {
            _ = try await desk.stream(everything)
            Issue.record("a third stream")
        } catch {
            #expect(error.code == "events.too_many_streams")
        }
        desk.close(first)
        _ = try await desk.stream(everything)
    }

    @Test func theLogIsNotOpenedOrAskedOnTheThreadsOfAllTasks() async throws {
        try await place.commit(1, ids: [1])
        let threads = Mutex<[String]>([])
        let desk = place.events(reading: {
            let name = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
            threads.withLock { $0.append(name ?? "") }
        })
        var request = everything
        request.view.format = .debezium
        let stream = try await desk.stream(request)
        #expect(await lines(stream) == 1)
        desk.close(stream)
        let names = threads.withLock { $0 }
        #expect(names.count == 4 && names.allSatisfy { $0 == "log-places\n" }, "\(names)")
    }

    /// How many lines come until the end.
    private func lines(_ stream: EventStream) async -> Int {
        var count = 0
        while case .piece(let bytes) = await stream.next() { count += bytes.count { $0 == 0x0A } }
        return count
    }

    @Test func aReaderThatTakesNothingOfALargeBatchKeepsNobodyFromReading() async throws {
        for commit in 1...2 as ClosedRange<UInt64> {
            try await place.commit(commit, ids: Array(0..<40), noteBytes: 100_000)
        }
        let room = StreamRoom(bytesMax: 9 << 20, slice: .milliseconds(1))
        let desk = place.events(room: room)
        let slow = try await desk.stream(everything)
        guard case .piece(let first) = await slow.next() else { throw StreamEnded() }
        #expect((8_000_000..<8_100_000).contains(room.byteCount), "\(room.byteCount)")
        let quick = try await desk.stream(everything)
        #expect(await lines(quick) == 80)
        desk.close(quick)
        // What it had is read again, from where it was.
        #expect(await lines(slow) == 80 - first.count { $0 == 0x0A })
        desk.close(slow)
    }

    @Test func aReaderThatTakesALargeEventSlowlyKeepsNobodyFromReadingAndGetsItWhole() async throws {
        for commit in 1...2 as ClosedRange<UInt64> { try await place.commit(commit, ids: [1], noteBytes: 5 << 19) }
        let room = StreamRoom(bytesMax: 1, slice: .zero)
        let desk = place.events(room: room)
        let (alone, slow) = (try await desk.stream(everything), try await desk.stream(everything))
        let whole = await bytes(alone)
        desk.close(alone)
        guard case .piece(let first) = await slow.next() else { throw StreamEnded() }
        #expect(first.count == 1 << 20 && room.byteCount > 1 << 20)
        let quick = try await desk.stream(everything)
        #expect(await bytes(quick) == whole)
        desk.close(quick)
        // It is made again, and goes on inside of the event.
        let rest = await bytes(slow)
        #expect(first + rest == whole)
        #expect(room.byteCount == 0)
        desk.close(slow)
    }

    @Test func aLargeEventThatIsCutInTheMiddleDoesNotSeemWhole() async throws {
        try await place.commit(1, ids: [1], noteBytes: 5 << 19)
        var endless = everything
        endless.follows = true
        let desk = place.events(room: StreamRoom(bytesMax: 1, slice: .zero))
        let stream = try await desk.stream(endless)
        #expect(await word(stream) == .piece)
        let quick = try await desk.stream(everything)
        #expect(await lines(quick) == 1, "now the other one has let go")
        #expect(await nextOfCancelled(stream) == .broken)
        desk.close(quick)
        desk.close(stream)
    }

    /// All bytes until the end.
    private func bytes(_ stream: EventStream) async -> [UInt8] {
        var all: [UInt8] = []
        while case .piece(let bytes) = await stream.next() { all += bytes }
        return all
    }
}

private struct StreamEnded: Error {}

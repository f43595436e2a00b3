import Foundation
import ProgramTesting
import Synchronization
import Testing

/// The program is killed while it sets events of a sink aside, and while it delivers them again. Every event of the log
/// is then at the endpoint or a dead letter, none is both, and the order of each key holds at the endpoint to the end.
@Suite(.serialized)
struct SinkDeadLetterKillTests {
    /// So many events are retried at a time.
    private static let atATime = 256

    @Test(arguments: ["log.sink_set_aside:1", "log.sink_set_aside:4", "sink.durable:6"])
    func everyEventIsDeliveredOrADeadLetterAfterAKill(at point: String) throws {
        let shop = try RefusedTill()
        try shop.till.work(statements: 200, seed: 1)
        try shop.kill(at: point)
        try shop.till.work(statements: 100, seed: 2)
        try shop.till.program.catchUp()
        let (accepted, letters) = (shop.endpoint.accepted, try shop.letters())
        let logged = try shop.till.program.loggedEvents().map(\.id)
        #expect(!letters.isEmpty && Set(letters).count == letters.count)
        #expect(Set(letters).isDisjoint(with: accepted.map(\.id)))
        #expect(Set(letters).union(accepted.map(\.id)) == Set(logged))
        shop.expectOrder()
    }

    @Test(arguments: ["log.sink_letter_delivered:1", "log.sink_letter_delivered:2"])
    func whatIsRetriedArrivesWholeAndInOrderAfterAKill(at point: String) throws {
        let shop = try RefusedTill()
        // What is done before the first run arrives as one snapshot of each row.
        try shop.till.program.catchUp()
        try shop.till.work(statements: 2_000, seed: 3)
        try shop.till.program.catchUp()
        #expect(try shop.letters().count > Self.atATime)
        shop.endpoint.takeAll()
        // The request stays until it is carried out.
        try shop.till.program.run("deadletters", "retry", "@hooks", "--wait", "0")
        try shop.kill(at: point)
        let left = try shop.letters()
        #expect(!left.isEmpty)
        try shop.till.work(statements: 50, seed: 4)
        let run = try shop.till.program.start("run")
        try run.wait(for: "the rest of the retry") { try shop.letters().isEmpty }
        run.send(SIGTERM)
        _ = try run.finish()
        try shop.till.program.catchUp()
        let accepted = shop.endpoint.accepted
        #expect(Set(accepted.map(\.id)) == Set(try shop.till.program.loggedEvents().map(\.id)))
        // What was under way at the kill may have come twice, and nothing else.
        let doubled = Dictionary(grouping: accepted, by: \.id).filter { $0.value.count > 1 }.keys
        #expect(doubled.count <= Self.atATime && Set(left.prefix(Self.atATime)).isSuperset(of: doubled))
        shop.expectOrder()
    }

    @Test(arguments: ["log.replayed:1", "log.sink_letters_taken_back:1"])
    func whatWaitedComesOnceAndInOrderWhenAReplayIsKilled(at point: String) throws {
        let shop = try RefusedTill()
        try shop.till.program.catchUp()
        try shop.till.work(statements: 2_000, seed: 5)
        try shop.till.program.catchUp()
        #expect(try shop.letters().count > Self.atATime)
        shop.endpoint.takeAll()
        let before = shop.endpoint.accepted.count
        let victim = try shop.till.program.start("replay", "hooks", "--from", "earliest", haltAt: point)
        try victim.wait(for: "halt at \(point)") { victim.errorText.contains("halted at") }
        victim.kill()
        #expect(try !shop.letters().isEmpty)
        try shop.till.program.catchUp()
        #expect(try shop.letters().isEmpty)
        let again = shop.endpoint.accepted.dropFirst(before)
        #expect(again.count == Set(again.map(\.id)).count)
        #expect(Set(again.map(\.id)) == Set(try shop.till.program.loggedEvents().map(\.id)))
        shop.expectOrder(from: before)
    }
}

/// An endpoint that refuses the events of some keys.
private final class RefusingEndpoint: Sendable {
    private let takesAll = Atomic<Bool>(false)
    private let taken = Mutex<[Event]>([])

    /// What it took, in order.
    var accepted: [Event] { taken.withLock { $0 } }

    func takeAll() { takesAll.store(true, ordering: .releasing) }

    func answer(_ request: HTTPReceiver.Request) -> HTTPReceiver.Answer {
        guard let event = try? Event.parse(lines: request.text + "\n").first else { return .status(400) }
        let keys = [event.key, event.previousKey].compactMap { $0 }
        if !takesAll.load(ordering: .acquiring), event.table == "main.items", keys.contains(where: Self.refuses) {
            return .status(422)
        }
        taken.withLock { $0.append(event) }
        return .status(204)
    }

    private static func refuses(_ key: String) -> Bool { key.contains("3") || key.contains("7") }
}

/// A till whose events go to such an endpoint.
private final class RefusedTill {
    let till: Till
    let endpoint: RefusingEndpoint
    private let receiver: HTTPReceiver

    init() throws {
        let endpoint = RefusingEndpoint()
        let receiver = try HTTPReceiver { endpoint.answer($0) }
        (self.endpoint, self.receiver) = (endpoint, receiver)
        till = try Till(
            sinks: """
                hooks:
                    webhook: {url: "http://127.0.0.1:\(receiver.port)/hooks", allow_private_addresses: true}
                """)
    }

    func kill(at point: String) throws {
        let victim = try till.program.start("run", haltAt: point)
        var burst: UInt64 = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            burst += 1
            try till.work(statements: 5, seed: burst)
            return false
        }
        victim.kill()
    }

    /// The ids of what waits, in order.
    func letters() throws -> [String] {
        try till.program.run("deadletters", "show", "@hooks").output.split(separator: "\n")
            .map { String($0.prefix { $0 != " " }) }
    }

    /// The first arrivals of the events of a key never go back, from an arrival on.
    func expectOrder(from first: Int = 0) {
        var known: Set<String> = []
        var last: [String: String] = [:]
        for event in endpoint.accepted.dropFirst(first) where known.insert(event.id).inserted {
            for key in [event.key, event.previousKey].compactMap({ $0 }) {
                let place = "\(event.table) \(key)"
                #expect(last[place].map { $0 <= event.sequence } ?? true)
                last[place] = event.sequence
            }
        }
    }
}

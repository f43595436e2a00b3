import ConnectorTesting
import Foundation
import ProgramTesting
import Synchronization
import Testing

/// The program is killed while it posts events, at named points and at random moments, to an endpoint that fails now
/// and then, while rows change. The endpoint must then have every event of the log and no other, each the same every
/// time, those of a key in order, and nothing twice beyond the window.
@Suite(.serialized)
struct WebhookKillTests {
    private static let window = 50

    @Test(arguments: [
        "webhook.answered:1", "webhook.answered:70", "webhook.answered:300", "sink.durable:1", "sink.durable:3",
    ])
    func everyEventArrivesAndEachKeyInOrderAfterAKill(at point: String) throws {
        let shop = try PostedTill(window: Self.window)
        try shop.till.work(statements: 200, seed: 1)
        let victim = try shop.till.program.start("run", haltAt: point)
        var burst: UInt64 = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            burst += 1
            try shop.till.work(statements: 5, seed: burst)
            return false
        }
        shop.kill(victim)
        try shop.till.work(statements: 200, seed: 2)
        try shop.till.program.catchUp()
        try shop.expectExactDelivery(kills: 1)
    }

    @Test func everyEventArrivesAndEachKeyInOrderAfterKillsAtRandomMoments() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let shop = try PostedTill(window: Self.window)
        try shop.till.work(statements: 300, seed: seed)
        for round in 0..<5 {
            let victim = try shop.till.program.start("run")
            let wanted = shop.receiver.requests.count + Int.random(in: 1...400, using: &random)
            var burst = seed &+ UInt64(round) &* 1000
            try victim.wait(for: "requests (seed \(seed))") {
                burst &+= 1
                try shop.till.work(statements: 10, seed: burst)
                return shop.receiver.requests.count >= wanted
            }
            shop.kill(victim)
        }
        try shop.till.program.catchUp()
        try shop.expectExactDelivery(kills: 5, "seed \(seed)")
    }
}

/// A till whose events go to an endpoint.
private final class PostedTill {
    let till: Till
    let receiver: HTTPReceiver
    private let window: Int
    /// How many requests were there at each kill.
    private var killedAt: [Int] = []

    init(window: Int) throws {
        self.window = window
        receiver = try HTTPReceiver { request in
            // Some fail; of some the response is lost.
            if request.number % 23 == 7 { return .status(503) }
            return request.number % 41 == 11 ? .reset() : .status(204)
        }
        till = try Till(
            sinks: """
                hooks:
                    webhook:
                      url: http://127.0.0.1:\(receiver.port)/hooks
                      allow_private_addresses: true
                      window: {records: \(window)}
                      retry: {initial: 1ms, max: 20ms}
                      failures_until_pause: 3
                """.replacing("\n", with: "\n  "))
    }

    func kill(_ victim: ChildProcess) {
        victim.kill()
        killedAt.append(receiver.requests.count)
    }

    func expectExactDelivery(kills: Int, _ comment: Comment? = nil) throws {
        let requests = receiver.requests
        let arrived = try requests.map { try #require(try Event.parse(lines: $0.text + "\n").first, comment) }
        let logged = try till.program.loggedEvents()
        #expect(Set(arrived.map(\.id)) == Set(logged.map(\.id)), comment)
        #expect(zip(requests, arrived).allSatisfy { $0.id == $1.id }, comment)
        for (_, same) in Dictionary(grouping: requests, by: \.id) {
            #expect(Set(same.map(\.body)).count == 1, comment)
        }
        expectOrder(arrived, comment)
        expectFewRepetitions(requests, comment)
    }

    /// Between two kills, the events of a key never go back; the first arrivals of all time do not either.
    private func expectOrder(_ arrived: [Event], _ comment: Comment?) {
        var firstArrivals: [Event] = []
        var known: Set<String> = []
        for event in arrived where known.insert(event.id).inserted { firstArrivals.append(event) }
        var lives = [firstArrivals]
        var start = 0
        for end in killedAt + [arrived.count] {
            lives.append(Array(arrived[start..<end]))
            start = end
        }
        for life in lives {
            var last: [String: String] = [:]
            for event in life {
                for key in [event.key, event.previousKey].compactMap({ $0 }) {
                    let place = "\(event.table) \(key)"
                    #expect(last[place].map { $0 <= event.sequence } ?? true, comment)
                    last[place] = event.sequence
                }
            }
        }
    }

    /// What came again after a kill had come before it, and is no more than the window. Requests that failed are told
    /// apart by their numbers.
    private func expectFewRepetitions(_ requests: [HTTPReceiver.Request], _ comment: Comment?) {
        for kill in killedAt {
            let before = Set(requests[..<kill].map(\.id))
            let next = killedAt.first { $0 > kill } ?? requests.count
            let again = Set(requests[kill..<next].map(\.id)).intersection(before)
            #expect(again.count <= window, comment)
        }
    }
}

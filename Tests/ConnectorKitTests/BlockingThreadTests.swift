import ConnectorKit
import Foundation
import Synchronization
import Testing

/// An actor as connectors with blocking C clients are written.
private actor Client {
    private let thread: BlockingThread
    private(set) var order: [Int] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    init(name: String) { thread = BlockingThread(name: name) }

    func note(_ number: Int) { order.append(number) }

    func threadIdentity() -> UInt { UInt(bitPattern: pthread_self().hashValue) }

    func threadName() -> String { currentThreadName() }

    /// Blocks its thread until the flag is set, as a C call that waits for the network does.
    func block(until flag: borrowing Flag) { while !flag.isSet { usleep(200) } }

    func assertIsHere() { self.assertIsolated() }
}

private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

private func currentThreadName() -> String {
    let text = (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)) ?? ""
    return text.trimmingCharacters(in: .newlines)
}

/// Names of all threads of this process.
private func threadNames() -> [String] {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    return tasks.map { task in
        ((try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)) ?? "")
            .trimmingCharacters(in: .newlines)
    }
}

/// Looks again and again until something is so; false after a generous time.
private func eventually(_ condition: () async -> Bool) async -> Bool {
    let limit = ContinuousClock.now + .seconds(120)
    while ContinuousClock.now < limit {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return false
}

@Suite(.timeLimit(.minutes(4))) struct BlockingThreadTests {
    @Test func jobsRunOneAtATimeInTheOrderOfArrival() async {
        let client = Client(name: "kit-order")
        let gate = Flag()
        async let blocked: Void = client.block(until: gate)
        var tasks: [Task<Void, Never>] = []
        for number in 0..<500 {
            // Task.immediate enqueues the call before it returns, so that the arrivals have an order.
            tasks.append(Task.immediate { await client.note(number) })
        }
        gate.set()
        await blocked
        for task in tasks { await task.value }
        #expect(await client.order == Array(0..<500))
    }

    @Test func everyJobRunsOnTheSameThreadAndNotOnThePool() async {
        let client = Client(name: "kit-same")
        let first = await client.threadIdentity()
        await withTaskGroup(of: (UInt, String).self) { group in
            for _ in 0..<50 { group.addTask { await (client.threadIdentity(), client.threadName()) } }
            for await (identity, name) in group {
                #expect(identity == first)
                #expect(name == "kit-same")
            }
        }
        await client.assertIsHere()
        #expect(currentThreadName() != "kit-same")
    }

    @Test func aBlockedClientDoesNotHoldUpThePool() async {
        let gate = Flag()
        let clients = (0..<16).map { Client(name: "kit-block\($0)") }
        await withTaskGroup(of: Void.self) { group in
            for client in clients { group.addTask { await client.block(until: gate) } }
            // More clients block than the pool has threads; this task still runs, or the gate never opens.
            group.addTask { gate.set() }
        }
        #expect(gate.isSet)
    }

    @Test func longNamesAreCut() async {
        let client = Client(name: "kit-name-that-is-too-long")
        #expect(await client.threadName() == "kit-name-that-i")
    }

    @Test func theThreadEndsWhenItsOwnerIsReleased() async {
        var client: Client? = Client(name: "kit-ends")
        await client?.note(1)
        #expect(threadNames().contains("kit-ends"))
        client = nil
        let isGone = await eventually { !threadNames().contains("kit-ends") }
        #expect(isGone)
    }

    @Test func threadsDoNotPileUp() async {
        for round in 0..<200 {
            let client = Client(name: "kit-pile")
            await client.note(round)
        }
        let areGone = await eventually { !threadNames().contains("kit-pile") }
        #expect(areGone)
    }

    @Test func aThreadRunsItsBodyOnceUnderItsName() async {
        let name = Mutex<[String]>([])
        startThread(name: "kit-start") { name.withLock { $0.append(currentThreadName()) } }
        let isDone = await eventually { name.withLock { !$0.isEmpty } }
        #expect(isDone)
        #expect(name.withLock { $0 } == ["kit-start"])
    }
}

import ChangeModel
import ConnectorKit
import EventLog
import Testing

struct RetentionTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func nothingGoesWithoutLimits() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(sampleBatch(commit: 1))
        #expect(try await log.retain(activeSinks: []).batchCount == 0)
        #expect(try await log.statistics().firstOffset == 0)
    }

    @Test func oldBatchesGoButNeverPastACursor() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        for commit in 1...5 { try await log.appendOrders(sampleBatch(commit: UInt64(commit), rows: 2)) }
        _ = try await log.createCursor(of: "fast", at: 10)
        _ = try await log.createCursor(of: "slow", at: 5)
        let step = try await log.retain(activeSinks: ["fast", "slow"])
        #expect(step.batchCount == 2)
        #expect(step.changeCount == 4)
        #expect(step.firstOffset == 4)
        #expect(step.heldBy == "slow")
        let reader = try log.makeReader()
        #expect(await failureCode { _ = try reader.read(from: 3) } == "log.retained_away")
        #expect(try reader.read(from: 4)?.firstOffset == 4)
        let rest = try await log.retain(activeSinks: ["fast"])
        #expect(rest.batchCount == 3)
        #expect(rest.heldBy == nil)
    }

    @Test func whatASinkHasNotGotGoesOnlyWhenThatIsWantedAndIsCounted() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero, dropsUndelivered: true))
        for commit in 1...5 { try await log.appendOrders(sampleBatch(commit: UInt64(commit), rows: 2)) }
        _ = try await log.createCursor(of: "fast", at: 10)
        _ = try await log.createCursor(of: "slow", at: 3)
        let step = try await log.retain(activeSinks: ["fast", "slow"])
        #expect(step.batchCount == 5 && step.passedSinks == ["slow": 3..<10] && step.heldBy == nil)
        try await log.appendOrders(sampleBatch(commit: 6, rows: 2))
        #expect(try await log.retain(activeSinks: ["fast", "slow"]).passedSinks == ["fast": 10..<12, "slow": 10..<12])
    }

    @Test func aLogAtItsLimitTakesNothingUntilThereIsRoom() async throws {
        let (note, limit) = (String(repeating: "n", count: 50_000), 1 << 20)
        let log = try EventLog(directory: folder.log, retention: LogRetention(byteCount: 1 << 18, limit: limit))
        _ = try await log.createCursor(of: "slow", at: 0)
        var commit: UInt64 = 1
        var code: String?
        while code == nil, commit < 1000 {
            code = await failureCode { try await log.appendOrders(sampleBatch(commit: commit, note: note)) }
            if code == nil { commit += 1 }
        }
        #expect(code == "log.full")
        let end = try await log.statistics().nextOffset
        #expect(end > 0)
        _ = try await log.retain(activeSinks: ["slow"])
        #expect(await failureCode { try await log.appendOrders(sampleBatch(commit: commit)) } == "log.full")
        try await log.moveCursor(of: "slow", to: end)
        while try await log.retain(activeSinks: ["slow"]).isUnfinished {}
        #expect(try await log.appendOrders(sampleBatch(commit: commit)).firstOffset == end)
    }

    /// Young events, below the size of retention, that nobody lacks.
    @Test(arguments: [nil, 1 << 30] as [Int?])
    func whatAllSinksHaveMakesRoomBeforeTheLimitIsReached(byteCount: Int?) async throws {
        let (note, limit) = (String(repeating: "n", count: 20_000), 1 << 20)
        let retention = LogRetention(
            age: byteCount.map { _ in .seconds(3600) }, byteCount: byteCount, limit: limit)
        let log = try EventLog(directory: folder.log, retention: retention)
        _ = try await log.createCursor(of: "a", at: 0)
        var steps = 0
        for commit in 1...200 as ClosedRange<UInt64> {
            try await log.appendOrders(sampleBatch(commit: commit, rows: 1, note: note))
            try await log.moveCursor(of: "a", to: try await log.statistics().nextOffset)
            guard await log.isFilling else { continue }
            while try await log.retain(activeSinks: ["a"]).isUnfinished {}
            #expect(await !log.isFilling)
            steps += 1
        }
        // Room is made for some batches at a time.
        #expect((1...40).contains(steps), "\(steps)")
    }

    @Test func aLimitRemovesNothingThatASinkLacks() async throws {
        let (note, limit) = (String(repeating: "n", count: 20_000), 1 << 20)
        let log = try EventLog(directory: folder.log, retention: LogRetention(limit: limit))
        _ = try await log.createCursor(of: "slow", at: 1)
        var (commit, code) = (1 as UInt64, nil as String?)
        while code == nil, commit < 1000 {
            code = await failureCode { try await log.appendOrders(sampleBatch(commit: commit, note: note)) }
            if code == nil { commit += 1 }
        }
        #expect(code == "log.full")
        let step = try await log.retain(activeSinks: ["slow"])
        #expect(step.heldBy == "slow" && step.batchCount == 0)
        #expect(await failureCode { try await log.appendOrders(sampleBatch(commit: commit)) } == "log.full")
        // Taken out of the configuration, it holds nothing any more.
        while try await log.retain(activeSinks: []).isUnfinished {}
        try await log.appendOrders(sampleBatch(commit: commit))
        #expect(try await log.statistics().byteCount <= limit)
    }

    @Test func aSinkWithoutACursorHoldsEverything() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        try await log.appendOrders(sampleBatch(commit: 1))
        let step = try await log.retain(activeSinks: ["new"])
        #expect(step.batchCount == 0)
        #expect(step.heldBy == "new")
    }

    @Test func offsetsAndOrderGoOnWhenEverythingIsGone() async throws {
        var log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        try await log.appendOrders(sampleBatch(commit: 7, rows: 4))
        #expect(try await log.retain(activeSinks: []).batchCount == 1)
        await log.close()
        log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        #expect(try await log.statistics().firstOffset == 4)
        #expect(await failureCode { try await log.appendOrders(sampleBatch(commit: 7)) } == "log.out_of_order")
        #expect(try await log.appendOrders(sampleBatch(commit: 8)).firstOffset == 4)
        let reader = try log.makeReader()
        #expect(await failureCode { _ = try reader.read(from: 0) } == "log.retained_away")
    }

    @Test func theSizeIsKeptInSmallStepsAndTheFileIsUsedAgain() async throws {
        let limit = 1 << 20
        let log = try EventLog(directory: folder.log, retention: LogRetention(byteCount: limit))
        let note = String(repeating: "n", count: 5000)
        var steps = 0
        for commit in 1...600 {
            try await log.appendOrders(sampleBatch(commit: UInt64(commit), rows: 2, note: note))
            if commit % 20 == 0 {
                while try await log.retain(activeSinks: []).isUnfinished { steps += 1 }
            }
        }
        let statistics = try await log.statistics()
        #expect(statistics.byteCount <= limit + (256 << 10))
        #expect(statistics.fileByteCount < 3 * limit)
        #expect(statistics.firstOffset > 800)
        #expect(try identities(log.makeReader(), from: statistics.firstOffset).last?.commit == 600)
    }

    @Test func aStepIsBounded() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        for commit in 1...300 { try await log.appendOrders(sampleBatch(commit: UInt64(commit), rows: 1)) }
        let step = try await log.retain(activeSinks: [])
        #expect(step.batchCount == 256)
        #expect(step.isUnfinished)
        #expect(try await log.retain(activeSinks: []).isUnfinished == false)
    }
}

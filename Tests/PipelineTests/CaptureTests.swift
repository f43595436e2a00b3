import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventLog
import Pipeline
import Synchronization
import Testing

struct CaptureTests {
    @Test(arguments: UInt64(1)...4)
    func everythingArrivesExactlyInOrder(seed: UInt64) async throws {
        let (place, store) = (try Workplace(), LedgerStore())
        let database = PruningDatabase(seed: seed)
        database.commitRandom(transactions: 60)
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("ledger", LedgerSink(on: store))])
        #expect(try await pipeline.finish() == nil)
        #expect(store.identities == database.committed)
        #expect(try place.logged() == database.committed)
        #expect(database.violations == [] && store.violations == [])
        #expect(database.confirmed == database.endPosition)
        let progress = pipeline.progress.snapshot
        #expect(progress.isCaughtUp)
        #expect(progress.capturedCount == UInt64(database.committed.count))
        #expect(progress.nextOffset == UInt64(database.committed.count))
        #expect(progress.cursors == ["ledger": UInt64(database.committed.count)])
    }

    @Test func aSourceThatFailsIsOpenedAgainAndNothingIsLostOrDoubled() async throws {
        let (place, store) = (try Workplace(), LedgerStore())
        let (database, openings) = (PruningDatabase(seed: 7), Counter())
        database.commitRandom(transactions: 40)
        let source = ScriptedSource(
            inner: PruningSourceModel(of: database, failures: [1, 3, 4, 12]),
            onOpen: { () async throws(ConnectorFailure) in openings.next() })
        let pipeline = place.pipeline(from: source, to: [plan("ledger", LedgerSink(on: store))])
        #expect(try await pipeline.finish() == nil)
        #expect(openings.value == 5)
        #expect(store.identities == database.committed)
        #expect(database.violations == [])
    }

    @Test(.timeLimit(.minutes(1)))
    func aRunThatIsToEndDoesNotWaitForEverForASourceThatIsAway() async throws {
        let (place, store, openings) = (try Workplace(), LedgerStore(), Counter())
        let source = ScriptedSource(
            inner: PruningSourceModel(of: PruningDatabase(seed: 8)),
            onOpen: { () async throws(ConnectorFailure) in
                openings.next()
                throw failure("away", .retry)
            })
        let pipeline = place.pipeline(from: source, to: [plan("ledger", LedgerSink(on: store))])
        #expect(try await pipeline.finish(patience: .seconds(1)) == "test.away")
        #expect(openings.value >= 2)
    }

    @Test(.timeLimit(.minutes(1)))
    func aRunThatIsToEndDoesNotWaitForEverForWhatTheOpeningOfItsSourceWaitsFor() async throws {
        let (place, store) = (try Workplace(), LedgerStore())
        let source = ScriptedSource(
            inner: PruningSourceModel(of: PruningDatabase(seed: 8)),
            onOpen: { () async throws(ConnectorFailure) in
                while !Task.isCancelled { try? await Task.sleep(for: .milliseconds(10)) }
                throw failure("cancelled", .retry)
            }, onObstacle: { failure("held", .retry) })
        let pipeline = place.pipeline(from: source, to: [plan("ledger", LedgerSink(on: store))])
        #expect(try await pipeline.finish(patience: .seconds(1)) == "test.held")
    }

    /// Changes that go on coming from beyond the end are no reason to wait.
    @Test(.timeLimit(.minutes(1)), arguments: [false, true])
    func aRunThatIsToEndDoesNotWaitForEverForWhatItsSnapshotWaitsFor(isBusy: Bool) async throws {
        let (place, store, database) = (try Workplace(), LedgerStore(), PruningDatabase(seed: 8))
        database.commitRandom(transactions: 5)
        let source = ScriptedSource(
            inner: PruningSourceModel(of: database),
            onBatch: { (batch) async throws(ConnectorFailure) in
                if isBusy { database.commitRandom(transactions: 1) }
                return batch
            }, onObstacle: { failure("held", .retry) }, isAtEnd: false)
        let pipeline = place.pipeline(from: source, to: [plan("ledger", LedgerSink(on: store))])
        #expect(try await pipeline.finish(patience: .seconds(1)) == "test.held")
        #expect(try place.logged().count >= 5)
        #expect(database.violations == [] && store.violations == [])
    }

    @Test(.timeLimit(.minutes(1)))
    func aRunThatIsToEndDoesNotWaitForEverForADiskThatIsFull() async throws {
        let (place, store, database) = (try Workplace(), LedgerStore(), PruningDatabase(seed: 8))
        database.commitRandom(transactions: 5)
        let log = ScriptedLog(
            inner: place.log,
            onAppend: { (_) async throws(ConnectorFailure) in
                throw ConnectorFailure("log.disk_full", .retry, "no room")
            })
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("ledger", LedgerSink(on: store))], captureLog: log)
        #expect(try await pipeline.finish(patience: .seconds(1)) == "log.disk_full")
        #expect(database.violations == [])
    }

    @Test func aSourceThatFailsForGoodEndsTheRunAfterSinksHaveWhatWasCaptured() async throws {
        let (place, store) = (try Workplace(), LedgerStore())
        let (database, batches) = (PruningDatabase(seed: 3), Counter())
        database.commitRandom(transactions: 30)
        let source = ScriptedSource(
            inner: PruningSourceModel(of: database),
            onBatch: { (batch) async throws(ConnectorFailure) in
                if batches.next() == 8 { throw failure("broken", .stop) }
                return batch
            })
        let slow = ScriptedSink(
            inner: LedgerSink(on: store),
            onWrite: { (_) async throws(ConnectorFailure) in try? await Task.sleep(for: .milliseconds(30)) })
        let pipeline = place.pipeline(from: source, to: [plan("slow", slow)])
        #expect(try await pipeline.finish(untilCaughtUp: false) == "test.broken")
        #expect(try !place.logged().isEmpty)
        #expect(store.identities == (try place.logged()))
        #expect(try await place.log.cursor(of: "slow")?.offset == UInt64(store.entries.count))
    }

    @Test(arguments: ["append", "sync"])
    func aFullDiskIsWaitedForAndNothingIsLost(call: String) async throws {
        let (place, store) = (try Workplace(), LedgerStore())
        let (database, calls, openings) = (PruningDatabase(seed: 5), Counter(), Counter())
        database.commitRandom(transactions: 20)
        let refuse = { @Sendable () throws(ConnectorFailure) in
            if (2...3).contains(calls.next()) { throw ConnectorFailure("log.disk_full", .retry, "no room") }
        }
        let log = ScriptedLog(
            inner: place.log,
            onAppend: { (_) async throws(ConnectorFailure) in if call == "append" { try refuse() } },
            onSync: { () async throws(ConnectorFailure) in if call == "sync" { try refuse() } })
        let source = ScriptedSource(
            inner: PruningSourceModel(of: database),
            onOpen: { () async throws(ConnectorFailure) in openings.next() })
        let pipeline = place.pipeline(from: source, to: [plan("ledger", LedgerSink(on: store))], captureLog: log)
        #expect(try await pipeline.finish() == nil)
        #expect(calls.value > 3)
        #expect(openings.value == 1, "the source stays open while the disk is full")
        #expect(store.identities == database.committed)
        #expect(database.confirmed == database.endPosition)
    }

    /// Failed before the sync was tried again in place: the batch stayed in the log unseen, and the run never ended.
    @Test func aBatchThatMustBeDurableIsSeenAfterItsSyncAndNotBefore() async throws {
        let (place, store) = (try Workplace(), LedgerStore())
        let (database, syncs, early) = (PruningDatabase(seed: 9), Counter(), Counter())
        let durable = Mutex<ChangeIdentity?>(nil)
        database.commitRandom(transactions: 10)
        let source = ScriptedSource(
            inner: PruningSourceModel(of: database),
            onBatch: { (batch) async throws(ConnectorFailure) in try batch.mustBeDurableBeforeDelivery() })
        let log = ScriptedLog(
            inner: place.log,
            onSync: { () async throws(ConnectorFailure) in
                if syncs.next() == 4 { throw ConnectorFailure("log.disk_full", .retry, "no room") }
            },
            afterSync: { checkpoint in durable.withLock { $0 = checkpoint?.last } })
        let sink = ScriptedSink(
            inner: LedgerSink(on: store),
            onWrite: { (batch) async throws(ConnectorFailure) in
                guard let last = batch.records.last?.identity else { return }
                if durable.withLock({ $0.map { $0 < last } ?? true }) { early.next() }
            })
        let pipeline = place.pipeline(from: source, to: [plan("ledger", sink)], captureLog: log)
        #expect(try await pipeline.finish() == nil)
        #expect(store.identities == database.committed)
        #expect(early.value == 0)
        #expect(syncs.value > 5)
    }

    @Test func whatAKilledProcessAppendedIsSyncedAndAcknowledgedWithoutANewChange() async throws {
        let place = try Workplace()
        let database = PruningDatabase(seed: 2)
        database.commitRandom(transactions: 5)
        let source = PruningSourceModel(of: database, changesMax: 100)
        // As if killed between append and sync.
        let reader = SourceReader(source)
        let identity = try await reader.open(after: nil)
        try await place.log.bind(to: identity)
        let batch = try #require(try await firstBatchWithChanges(source))
        var book = ContractBook(pipelineName: "shop", schemas: place.schemas, log: place.log)
        _ = try await place.log.append(batch, versions: try await book.accepted(batch.relations))
        await source.close()
        #expect(database.confirmed < database.endPosition)
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [])
        async let code = pipeline.finish(untilCaughtUp: false)
        try await eventually("the acknowledgement") { database.confirmed == database.endPosition }
        pipeline.stop.request()
        #expect(try await code == nil)
    }

    private func firstBatchWithChanges(_ source: any ChangeSource) async throws -> ChangeBatch? {
        for _ in 0..<50 {
            let batch = try await source.nextBatch(until: .now + .milliseconds(20))
            if batch.changeCount > 0 { return batch }
        }
        return nil
    }

    @Test func positionsWithoutChangesAreStoredRarely() async throws {
        let place = try Workplace()
        let (database, moves, appends) = (PruningDatabase(seed: 4), Counter(), Counter())
        let source = ScriptedSource(
            inner: PruningSourceModel(of: database),
            onBatch: { (batch) async throws(ConnectorFailure) in
                let resume = ResumePosition(100_000 + UInt64(moves.next()))
                try? await Task.sleep(for: .milliseconds(2))
                return try batch.moved(to: resume)
            }, isRestless: true)
        let log = ScriptedLog(inner: place.log, onAppend: { (_) async throws(ConnectorFailure) in appends.next() })
        let pipeline = place.pipeline(from: source, to: [], captureLog: log)
        let begin = ContinuousClock.now
        async let code = pipeline.finish(untilCaughtUp: false)
        try await eventually("many moves") { moves.value >= 300 && appends.value >= 2 }
        pipeline.stop.request()
        #expect(try await code == nil)
        let seconds = Int((ContinuousClock.now - begin) / .seconds(1))
        #expect(appends.value <= seconds + 2)
    }
}

extension ChangeBatch {
    /// The same batch, to be durable before any sink sees it.
    func mustBeDurableBeforeDelivery() throws(ConnectorFailure) -> ChangeBatch {
        guard let checkpoint else { return self }
        return try copy(checkpoint, mustBeDurable: true)
    }

    /// The same batch with another position.
    func moved(to resume: ResumePosition) throws(ConnectorFailure) -> ChangeBatch {
        try copy(SourceCheckpoint(last: checkpoint?.last, resume: resume), mustBeDurable: false)
    }

    private func copy(_ checkpoint: SourceCheckpoint, mustBeDurable: Bool) throws(ConnectorFailure) -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: 1024)
        for relation in relations { _ = builder.index(of: relation) }
        for index in 0..<transactionCount { _ = builder.begin(transaction(at: index)) }
        for index in 0..<changeCount {
            var change = change(at: index)
            if !change.before.isEmpty { change.before = builder.append(tuple: tuple(change.before)) }
            if !change.after.isEmpty { change.after = builder.append(tuple: tuple(change.after)) }
            builder.append(change)
        }
        do {
            return try builder.seal(checkpoint: checkpoint, mustBeDurableBeforeDelivery: mustBeDurable)
        } catch {
            throw failure("copy", .stop)
        }
    }
}

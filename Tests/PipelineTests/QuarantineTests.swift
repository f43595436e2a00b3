import ByteKit
import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventLog
import Pipeline
import SchemaRegistry
import Testing

struct QuarantineTests {
    private let place: Workplace
    private let database = PruningDatabase(seed: 31)
    private let store = LedgerStore()

    init() throws { place = try Workplace() }

    private func pipeline(_ policy: SchemaPolicy, _ source: (any ChangeSource)? = nil) -> Pipeline {
        Pipeline(
            Pipeline.Parts(
                name: "shop", sourceKind: "model", source: source ?? PruningSourceModel(of: database),
                sinks: [plan("ledger", LedgerSink(on: store))], log: place.log, schemas: place.schemas, policy: policy),
            logger: silent)
    }

    private func acceptAll() throws {
        for subject in try place.schemas.subjects() {
            for proposal in try place.schemas.proposals(of: subject) {
                _ = try place.schemas.accept(proposal, of: subject)
            }
        }
    }

    private let strict = SchemaPolicy(onChange: .quarantine, onNewTable: .require)

    @Test func everythingOfManyBatchesIsReleasedByOneRun() async throws {
        // Each run stores at least one batch, far more of them than one step releases.
        for _ in 0..<40 {
            database.commitRandom(transactions: 2)
            #expect(try await pipeline(strict).finish() == nil)
        }
        #expect(store.identities == [])
        let waiting = try await place.log.statistics().deadLetters
        #expect(waiting.reduce(0) { $0 + $1.changeCount } == database.committed.count)
        #expect(database.confirmed == database.endPosition, "what is set aside is durable, so it is confirmed")
        try acceptAll()
        #expect(try await pipeline(strict).finish() == nil)
        #expect(store.identities.sorted() == database.committed)
        #expect(try await place.log.statistics().deadLetters.allSatisfy { $0.changeCount == 0 })
    }

    @Test func aRunningPipelineReleasesWhatIsAcceptedAndKeepsTheOrderOfEachTable() async throws {
        let running = pipeline(strict)
        async let end = running.finish(untilCaughtUp: false)
        for _ in 0..<10 { database.commitRandom(transactions: 3) }
        try await eventually("something set aside") { try await !place.log.deadLetterSubjects().isEmpty }
        database.commitRandom(transactions: 10)
        try await eventually("the release") {
            try acceptAll()
            return store.identities.count == database.committed.count
        }
        running.stop.request()
        #expect(try await end == nil)
        #expect(store.identities.sorted() == database.committed)
        for table in Set(store.entries.map(\.topic)) {
            let own = store.entries.filter { $0.topic == table }.map(\.identity)
            #expect(own == own.sorted())
        }
    }

    @Test func aChangedPolicyLetsInWhatWaits() async throws {
        database.commitRandom(transactions: 10)
        #expect(try await pipeline(strict).finish() == nil)
        #expect(store.identities == [])
        #expect(try await pipeline(SchemaPolicy()).finish() == nil)
        #expect(store.identities.sorted() == database.committed)
    }

    @Test func haltKeepsThePositionAndTheLogAsTheyWere() async throws {
        database.commitRandom(transactions: 10)
        let halting = SchemaPolicy(onChange: .halt, onNewTable: .require)
        #expect(try await pipeline(halting).finish() == "schema.unregistered")
        #expect(try await place.log.statistics().nextOffset == 0)
        #expect(try await place.log.statistics().deadLetters == [])
        // The second table may be met only after the first was accepted.
        for _ in 0..<2 {
            try acceptAll()
            if try await pipeline(halting).finish() == nil { break }
        }
        #expect(store.identities == database.committed)
    }

    @Test func aPartOfABatchHasWhatItNeedsAndNoMore() throws {
        var builder = ChangeBatchBuilder(capacity: 64)
        let tables = ["a", "b", "c"].map { name in
            Relation(
                sourceID: 1, schema: "public", name: name,
                columns: [Column(name: "id", type: .text, typeName: "text", keyPosition: 0)])
        }
        for commit in 1...3 {
            let transaction = builder.begin(
                TransactionInfo(commit: UInt64(commit), id: UInt64(commit) + 100, committedAt: Int64(commit)))
            for (ordinal, table) in tables.enumerated() {
                let tuple = builder.appendTuple(columnCount: 1) { output in
                    output.append(ValueKind.text)
                    output.append(bigEndian: Int32(2))
                    output.append(Array("\(table.name)\(commit)".utf8))
                }
                let change = RowChange(
                    operation: .update, relation: builder.index(of: table), transaction: transaction,
                    ordinal: UInt32(ordinal), beforeImage: .full, before: tuple, after: tuple)
                if commit != 2 || ordinal == 0 { builder.append(change) }
            }
        }
        let checkpoint = SourceCheckpoint(last: nil, resume: ResumePosition(9))
        let whole = try builder.seal(checkpoint: checkpoint, mustBeDurableBeforeDelivery: true)
        let indices = (0..<whole.changeCount).filter { whole.relations[Int(whole.change(at: $0).relation)].name == "c" }
        let part = try whole.selecting(indices, checkpoint: checkpoint)
        #expect(part.changeCount == 2 && part.transactionCount == 2 && part.relations.map(\.name) == ["c"])
        #expect(part.mustBeDurableBeforeDelivery && part.checkpoint == checkpoint)
        #expect(part.body.count < whole.body.count)
        for (place, index) in indices.enumerated() {
            #expect(part.identity(at: place) == whole.identity(at: index))
            let (mine, its) = (part.change(at: place), whole.change(at: index))
            #expect(mine.operation == its.operation && mine.beforeImage == its.beforeImage)
            #expect(part.transaction(at: Int(mine.transaction)) == whole.transaction(at: Int(its.transaction)))
            for (one, other) in [(mine.before, its.before), (mine.after, its.after)] {
                let (here, there) = (one.indices, other.indices)
                #expect(Array(part.body.unsafeBytes(here)) == Array(whole.body.unsafeBytes(there)))
            }
        }
        #expect(try whole.selecting([], checkpoint: checkpoint).changeCount == 0)
        // Whoever gives these structures a range of bytes must copy the bytes in `selecting` and compare them here.
        #expect(MemoryLayout<TransactionInfo>.size == 24 && MemoryLayout<RowChange>.size == 32)
    }
}

import ByteKit
import ChangeModel
import ConnectorKit
import Synchronization
import Testing

@testable import PostgresSource

/// What the names of changed tables lead to, without a server.
struct SnapshotNamesTests {
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }
    private let lines = Lines()

    private func coordinator(
        _ name: String, _ stage: SnapshotNotes.Stage = .done, readsByItself: Bool = true
    ) throws -> SnapshotCoordinator {
        var notes = SnapshotNotes()
        notes.tables[7] = .init(name: name, stage: stage)
        return SnapshotCoordinator(
            notes: notes, chunkBytes: 1000, readsByItself: readsByItself, workers: [try #require(WakeUp())],
            streamWakeUp: try #require(WakeUp()), notice: { _ in }, warning: { [lines] in lines.add($0) })
    }

    private func stage(_ coordinator: SnapshotCoordinator) -> SnapshotNotes.Stage? {
        coordinator.state.withLock { $0.notes.tables[7]?.stage }
    }

    private func plan(_ name: String, at position: UInt64) -> SnapshotPlan {
        SnapshotPlan(tables: [.init(oid: 7, schema: "public", name: name)], position: LSN(position))
    }

    @Test func aFormerNameIsNoNewsUntilTheTableIsEmptiedAndNewsAfterwards() throws {
        let coordinator = try coordinator("public.a")
        coordinator.adopt(plan("c", at: 100), readsOldRows: true)
        #expect(stage(coordinator) == .pending(clears: true))
        let change = NamedChange(table: 7, name: "public.a", commit: LSN(90))
        #expect(coordinator.changes(change))
        #expect(lines.all.isEmpty && stage(coordinator) == .pending(clears: true))
        coordinator.change { $0.notes.tables[7]?.stage = .done }
        #expect(coordinator.changes(NamedChange(table: 7, name: "public.a", commit: LSN(200))))
        #expect(stage(coordinator) == .pending(clears: true))
        #expect(lines.all.count == 1 && lines.all[0].hasPrefix("public.c was changed under the name public.a"))
    }

    @Test func aTableThatIsNotKnownTellsItsRowsAsAnothers() throws {
        let coordinator = try coordinator("public.a")
        #expect(!coordinator.changes(NamedChange(table: 8, name: "public.b", commit: LSN(1))))
        #expect(!coordinator.changes(NamedChange(table: 8, name: "public.c", isCaptured: false, commit: LSN(1))))
        #expect(!coordinator.changes(NamedChange(table: 7, name: "public.a", commit: LSN(1))))
        #expect(lines.all.isEmpty && stage(coordinator) == .done)
        for _ in 0..<2 {
            #expect(coordinator.changes(NamedChange(table: 8, name: "public.a", commit: LSN(2))))
            #expect(stage(coordinator) == .pending(clears: true))
        }
        let which = "another table was changed as public.a (one that is not captured, with the oid 8)"
        #expect(lines.all.count == 1 && lines.all[0].hasPrefix(which), "\(lines.all)")
    }

    /// It was another table, and nobody knew which.
    @Test func theWarningNamesTheOtherTableThatTookTheName() throws {
        let coordinator = try coordinator("public.a")
        coordinator.change { $0.notes.tables[8] = .init(name: "public.b", stage: .done) }
        #expect(coordinator.changes(NamedChange(table: 8, name: "public.a", commit: LSN(2))))
        #expect(lines.all.count == 2, "\(lines.all)")
        #expect(lines.all.contains { $0.hasPrefix("another table was changed as public.a (public.b)") })
    }

    /// Tables that all have one name now.
    private final class OneName: RelationSource {
        let name: CurrentName
        var askedCount = 0
        init(_ name: CurrentName) { self.name = name }
        func ignored(_ context: ContextProblem) {}
        func relation(for message: RelationMessage) throws(ConnectorFailure) -> Relation? {
            Relation(
                sourceID: message.relationID, schema: message.namespace, name: message.relationName,
                columns: message.columns.map { Column(name: $0.name, type: .text, typeName: "text") })
        }
        func currentNames(of tables: [UInt32]) throws(ConnectorFailure) -> [UInt32: CurrentName] {
            askedCount += 1
            return Dictionary(uniqueKeysWithValues: tables.map { ($0, name) })
        }
    }

    /// The stream is further behind than the time between two looks.
    @Test(arguments: [
        (CurrentName(schema: "s", table: "t", isPartitioned: false), true),
        (CurrentName(schema: "s", table: "u", isPartitioned: false), false),
        (CurrentName(schema: "s", table: "u", isPartitioned: true), true),
        (CurrentName(schema: "public", table: "t", isPartitioned: true), false),
    ])
    func namesAreComparedBehindTheFirstOfManyLooks(name: CurrentName, isStale: Bool) throws {
        let coordinator = try coordinator("s.t", .pending(clears: true))
        var decoder = ChangeDecoder(
            progress: ReplicationProgress(after: nil, slotPosition: LSN(50), notes: SourceNotes()), slot: "s",
            checksText: false, snapshots: SnapshotTracker(coordinator: coordinator, run: "r"))
        let source = OneName(name)
        for position in [200, 400] as [UInt64] {
            coordinator.looked(before: LSN(position))
            decoder.refreshSnapshots()
        }
        let change = WireBytes.xlog(WireBytes.insert(7, [.text("1")]))
        let first =
            WireBytes.xlog(WireBytes.begin(100))
            + WireBytes.xlog(WireBytes.relation(7, "t", columns: [("id", 23, true)])) + change
            + WireBytes.xlog(WireBytes.commit(100, end: 120))
        let before = try decoder.consume(first.rawBytes, byteLimit: 1 << 20, relations: source)
        #expect(before.taken == first.count && source.askedCount == 0)
        let second =
            WireBytes.xlog(WireBytes.begin(300)) + change + WireBytes.xlog(WireBytes.commit(300, end: 320))
        let behind = try decoder.consume(second.rawBytes, byteLimit: 1 << 20, relations: source)
        #expect(source.askedCount == 1 && decoder.isStale == isStale)
        #expect(behind.taken == (isStale ? 0 : second.count), "nothing of the transaction is taken")
        if isStale { return }
        // And behind the last one.
        let third = WireBytes.xlog(WireBytes.begin(400))
        _ = try decoder.consume(third.rawBytes, byteLimit: 1 << 20, relations: source)
        #expect(source.askedCount == 2)
    }

    @Test(arguments: [7, 8] as [UInt32])
    func whereNothingIsReadUnaskedChangesFromBeforeTheLookAreNoNews(table: UInt32) throws {
        let coordinator = try coordinator("public.a", readsByItself: false)
        coordinator.adopt(plan("c", at: 100), readsOldRows: false)
        let name = table == 7 ? "public.a" : "public.c"
        for commit in [90, 100] as [UInt64] {
            #expect(!coordinator.changes(NamedChange(table: table, name: name, commit: LSN(commit))))
            #expect(lines.all.isEmpty)
        }
        for commit in [101, 102] as [UInt64] {
            #expect(!coordinator.changes(NamedChange(table: table, name: name, commit: LSN(commit))))
            #expect(lines.all.count == 1, "once")
        }
        #expect(lines.all[0].contains("`millrace snapshot public.c`") && stage(coordinator) == .done)
        // What was answered may happen again.
        coordinator.request("1", plan("c", at: 100).tables)
        _ = coordinator.changes(NamedChange(table: table, name: name, commit: LSN(103)))
        #expect(lines.all.count == 2)
    }
}

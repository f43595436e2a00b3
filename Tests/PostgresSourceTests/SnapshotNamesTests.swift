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

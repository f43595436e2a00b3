import ChangeModel
import Testing

@testable import PostgresSource

/// Which transactions a view has. Numbers wrap around, and commit records do not tell.
struct TransactionSnapshotTests {
    private func contains(_ snapshot: String, id: UInt64, commit: UInt64, ordinal: UInt32 = 0) throws -> Bool {
        let view = try #require(TransactionSnapshot(snapshot, taken: LSN(1000)))
        return view.contains(
            TransactionInfo(commit: commit, id: id, committedAt: 0), ChangeIdentity(commit: commit, ordinal: ordinal))
    }

    @Test func whatHasEndedIsInTheViewWhereverItsCommitLies() throws {
        #expect(try contains("90:100:95", id: 94, commit: 900))
        #expect(try contains("90:100:95", id: 94, commit: 1100))
        #expect(try contains("90:100:", id: 3, commit: 5))
    }

    @Test func whatIsStillRunningIsNotInTheViewAlthoughItsCommitIsWritten() throws {
        #expect(try !contains("90:100:95,97", id: 97, commit: 900))
        #expect(try !contains("90:100:95,97", id: 97, commit: 1100))
    }

    @Test func aNumberThatIsHigherThanAnyThatEndedIsNotInTheView() throws {
        #expect(try !contains("90:100:", id: 100, commit: 1100))
        #expect(
            try !contains("90:100:", id: 100, commit: 900), "its commit record was written before the view was taken")
        #expect(try !contains("90:100:", id: 130, commit: 900))
    }

    @Test func numbersWrapAround() throws {
        let next = UInt64(1) << 32 + 100
        #expect(try contains("\(next - 10):\(next):", id: 0xFFFF_FFF0, commit: 1100))
        #expect(try contains("\(next - 10):\(next):", id: 0xFFFF_FFF0, commit: 5))
        #expect(try !contains("\(next - 10):\(next):\(next - 5)", id: 95, commit: 1100))
        #expect(try contains("\(next - 10):\(next):", id: 0x9000_0000, commit: 5), "old, and higher by its lower half")
    }

    @Test func aSnapshotRowIsInTheViewWhenItsChunkCameBefore() throws {
        #expect(try contains("90:100:", id: 0, commit: 900, ordinal: ChangeIdentity.snapshotOrdinalMin))
        #expect(try !contains("90:100:", id: 0, commit: 1000, ordinal: ChangeIdentity.snapshotOrdinalMin))
    }

    @Test func anotherTextIsNoSnapshot() {
        for text in ["", "1:2", "1:x:", "1:2:3,y", "1:2:3:4"] {
            #expect(TransactionSnapshot(text, taken: LSN(0)) == nil, "\(text)")
        }
    }
}

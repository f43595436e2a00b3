import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

struct SourceNotesTests {
    private var sample: SourceNotes {
        var notes = SourceNotes()
        var snapshot = SnapshotNotes()
        snapshot.tables[7] = .init(name: "public.done", stage: .done)
        snapshot.tables[8] = .init(name: "public.pending", stage: .pending(clears: false))
        snapshot.tables[9] = .init(name: "public.cleared", stage: .pending(clears: true))
        snapshot.tables[16384] = .init(
            name: "Odd \"schema.täble",
            stage: .reading(
                .init(
                    key: "id bigint",
                    parts: [
                        .init(after: nil, through: [1, 2], isDone: true), .init(after: [1, 2], through: [9]),
                        .init(after: [9], through: nil),
                    ], owed: [[], [255, 0]], rowCount: 12, estimate: .max)))
        snapshot.requests = ["a", "b"]
        notes.snapshot = snapshot
        for (form, table) in [([], "public.a"), (["integer id", "text a b"], "public.b"), (["1:2 c"], "public.b")] {
            _ = notes.keys.tell(KeyForm(columns: form), of: table)
        }
        return notes
    }

    @Test func notesAreReadAsTheyWereWritten() throws {
        #expect(try SourceNotes(decoding: sample.encoded) == sample)
        #expect(try SourceNotes(decoding: SourceNotes().encoded) == SourceNotes())
    }

    @Test func noNotesAreThoseOfAnOlderVersion() throws {
        #expect(try SourceNotes(decoding: []).snapshot == nil)
    }

    @Test func notesOfANewerVersionAreRefused() {
        var section = sample.encoded
        section += [0, 0, 3, 231, 0, 0, 0, 1, 5]
        #expect(throws: PostgresFailure.notesUnreadable("section 999")) { try SourceNotes(decoding: section) }
        #expect(throws: PostgresFailure.notesUnreadable("their version")) { try SourceNotes(decoding: [2]) }
    }

    @Test func cutOrDamagedNotesAreRefusedAndNeverTrap() {
        let bytes = sample.encoded
        // Between two sections the notes are those of a version that had only the first.
        var first = sample
        first.keys = KeyMemory()
        let whole = first.encoded.count
        for length in 2..<bytes.count where length != whole {
            #expect(throws: ConnectorFailure.self) { try SourceNotes(decoding: Array(bytes.prefix(length))) }
        }
        for place in bytes.indices {
            var damaged = bytes
            damaged[place] ^= 0xFF
            _ = try? SourceNotes(decoding: damaged)
        }
    }
}

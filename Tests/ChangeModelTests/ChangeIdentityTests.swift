import ChangeModel
import Testing

@Suite struct ChangeIdentityTests {
    @Test func commitDecidesBeforeOrdinal() {
        let ordered = [
            ChangeIdentity(commit: 0, ordinal: 0),
            ChangeIdentity(commit: 0, ordinal: .max - 1),
            ChangeIdentity(commit: 1, ordinal: ChangeIdentity.beginOrdinal),
            ChangeIdentity(commit: 1, ordinal: 0),
            ChangeIdentity(commit: 1, ordinal: 1),
            ChangeIdentity(commit: 1, ordinal: ChangeIdentity.commitOrdinal - 1),
            ChangeIdentity(commit: 1, ordinal: ChangeIdentity.commitOrdinal),
            ChangeIdentity(commit: 1, ordinal: ChangeIdentity.snapshotOrdinalMin),
            ChangeIdentity(commit: 1 << 63, ordinal: 0),
            ChangeIdentity(commit: .max, ordinal: .max - 1),
        ]
        for (a, first) in ordered.enumerated() {
            for (b, second) in ordered.enumerated() {
                #expect((first < second) == (a < b))
                #expect((first == second) == (a == b))
            }
        }
    }

    @Test func positionsAreOrderedAsUnsignedNumbers() {
        #expect(ResumePosition(0) < ResumePosition(1))
        #expect(ResumePosition(1 << 62) < ResumePosition(1 << 63))
        #expect(!(ResumePosition(7) < ResumePosition(7)))
    }

    @Test func differencesNameEveryPartThatDiffers() {
        let here = SourceIdentity(kind: "postgres", fingerprint: ["slot": "a", "system": "1"])
        #expect(here.differences(from: here).isEmpty)
        let there = SourceIdentity(kind: "sqlite", fingerprint: ["slot": "b", "path": "x", "system": "1"])
        #expect(
            here.differences(from: there) == [
                "kind: postgres, not sqlite", "path: none, not x", "slot: a, not b",
            ])
    }
}

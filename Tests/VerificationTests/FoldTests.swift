import ChangeModel
import ConnectorKit
import Foundation
import Testing

@testable import Verification

/// Folding and comparing, without a database: every kind of change and every kind of difference.
struct FoldTests {
    @Test func aTableThatIsWhatItsEventsSayIsEqual() throws {
        let trial = try FoldTrial()
        try trial.fold([
            .insert(["1", "a", "x"]), .insert(["2", "b", "y"]), .update(["1", "c", "x"]), .insert(["3", "d", "z"]),
            .delete(["3", nil, nil]),
        ])
        let report = try trial.compare([["1", "c", "x"], ["2", "b", "y"]])
        #expect(report.isEqual && report.isComplete)
        #expect(report.equalCount == 2 && report.rowCount == 2 && report.eventCount == 5)
    }

    @Test func eachKindOfDifferenceIsFoundAndNamed() throws {
        let trial = try FoldTrial()
        try trial.fold([.insert(["1", "a", "x"]), .insert(["2", "b", "y"]), .insert(["3", "c", "z"])])
        let report = try trial.compare([["1", "a", "OTHER"], ["3", "c", "z"], ["4", "d", "w"]])
        #expect(report.differentCount == 1 && report.onlyInLogCount == 1 && report.onlyInTableCount == 1)
        #expect(report.equalCount == 1)
        #expect(
            Set(report.differences.map { "\($0.kind.rawValue) \($0.key) \($0.offset ?? 99) \($0.columns)" }) == [
                "different id=1 0 [\"note\"]", "only_in_log id=2 1 []", "only_in_table id=4 99 []",
            ])
    }

    @Test func nullAndEmptyTextAreNotTheSame() throws {
        let trial = try FoldTrial()
        try trial.fold([.insert(["1", nil, ""])])
        #expect(try trial.compare([["1", "", nil]]).differences.map(\.columns) == [["name", "note"]])
    }

    @Test func anUnchangedValueIsTakenFromTheRowBefore() throws {
        let trial = try FoldTrial()
        try trial.fold([
            .insert(["1", "a", "large"]), .update(["1", "b", unchangedValue]),
            // The key changes, and the large value goes along.
            .update(["7", "b", unchangedValue], before: ["1", nil, nil], .key),
        ])
        let report = try trial.compare([["7", "b", "large"]])
        #expect(report.isEqual && report.isComplete)
    }

    @Test func aLargeKeyThatDidNotChangeIsTakenFromTheOldKey() throws {
        let trial = try FoldTrial()
        try trial.fold([
            .insert(["long key", "a", "large"]),
            .update([unchangedValue, "b", unchangedValue], before: ["long key", nil, nil], .key),
        ])
        #expect(try trial.compare([["long key", "b", "large"]]).isComplete)
    }

    @Test func anUnchangedValueThatNoEventHasIsNotComparedAndSaid() throws {
        let trial = try FoldTrial(coverage: .changed(why: "the log begins later"))
        try trial.fold([.update(["1", "b", unchangedValue])])
        let report = try trial.compare([["1", "b", "large"], ["2", "old", "row"]])
        #expect(report.isEqual && !report.isComplete)
        #expect(report.partlyEqualCount == 1 && report.unjudgedCount == 1)
        #expect(report.remarks.count == 2)
        #expect(report.remarks[0].contains("1 row not compared in note"))
        #expect(try trial.compare([["1", "WRONG", "large"]]).differentCount == 1)
    }

    @Test func swappedKeysLeaveBothRows() throws {
        let trial = try FoldTrial()
        try trial.fold([
            .insert(["1", "a", "x"]), .insert(["2", "b", "y"]),
            .update(["9", "a", "x"], before: ["1", nil, nil], .key),
            .update(["1", "b", "y"], before: ["2", nil, nil], .key),
            .update(["2", "a", "x"], before: ["9", nil, nil], .key),
        ])
        #expect(try trial.compare([["1", "b", "y"], ["2", "a", "x"]]).isComplete)
    }

    @Test func afterATruncateEveryRowMustHaveAnEvent() throws {
        let trial = try FoldTrial(coverage: nil, logBegins: 5)
        try trial.fold([.insert(["1", "a", "x"]), .truncate, .insert(["2", "b", "y"])])
        #expect(trial.fold.wasTruncated)
        let report = try trial.compare([["2", "b", "y"], ["3", "lost", "insert"]], coverage: .all)
        #expect(report.onlyInTableCount == 1 && report.equalCount == 1)
    }

    @Test func rowsWithoutAKeyAreComparedByTheirNumbers() throws {
        let trial = try FoldTrial(key: [])
        try trial.fold([
            .insert(["1", "a", "x"]), .insert(["1", "a", "x"]), .insert(["1", "a", "x"]), .insert(["2", "b", nil]),
            .delete(["1", "a", "x"], .full), .update(["3", "b", nil], before: ["2", "b", nil], .full),
        ])
        #expect(try trial.compare([["1", "a", "x"], ["3", "b", nil], ["1", "a", "x"]]).isComplete)
    }

    @Test func aRowTooManyOrTooFewWithoutAKeyIsFound() throws {
        let trial = try FoldTrial(key: [])
        try trial.fold([.insert(["1", "a", "x"]), .insert(["1", "a", "x"]), .insert(["2", "b", "y"])])
        let report = try trial.compare([["1", "a", "x"], ["2", "b", "y"], ["2", "b", "y"]])
        #expect(report.onlyInLogCount == 1 && report.onlyInTableCount == 1 && report.equalCount == 2)
    }

    @Test func anAddedColumnIsNotComparedUntilTheRowIsWritten() throws {
        let trial = try FoldTrial()
        try trial.fold([.insert(["1", "a", "x"]), .insert(["2", "b", "y"])])
        let wide = sampleRelation(columns: ["id", "name", "note", "added"])
        try trial.fold([.update(["1", "a", "x", "set"])], under: wide)
        let report = try trial.compare([["1", "a", "x", "set"], ["2", "b", "y", "by default"]], as: wide)
        #expect(report.isEqual && report.equalCount == 1 && report.partlyEqualCount == 1)
        let wrong = try trial.compare([["1", "a", "x", "OTHER"], ["2", "b", "OTHER", "by default"]], as: wide)
        #expect(wrong.differentCount == 2)
    }

    @Test func aDroppedColumnIsLeftOutAndARetypedOneIsNotCompared() throws {
        let trial = try FoldTrial()
        try trial.fold([.insert(["1", "a", "1"])])
        let narrow = sampleRelation(columns: ["id", "note"], types: ["note": 1700])
        let report = try trial.compare([["1", "1.00"]], as: narrow)
        #expect(report.isEqual && report.partlyEqualCount == 1)
    }

    @Test func rowsAreFoundAgainUnderAnotherKey() throws {
        let trial = try FoldTrial()
        try trial.fold([.insert(["1", "a", "x"]), .insert(["2", "b", "y"])])
        let other = sampleRelation(columns: ["id", "name", "note"], key: ["name", "id"])
        try trial.fold([.delete(["2", "b", nil], .key)], under: other)
        let report = try trial.compare([["1", "a", "x"]], as: other)
        #expect(report.isComplete && report.equalCount == 1)
        // A consumer goes by the key that the events name: it keeps both rows under `id`.
        #expect(report.oldKeyCount == 2 && report.differenceCount == 2)
    }

    @Test func rowsUnderAnOldKeyAreCountedUntilATruncateAndAgainWithEachChange() throws {
        let trial = try FoldTrial()
        let byName = sampleRelation(columns: ["id", "name", "note"], key: ["name"])
        try trial.fold([.insert(["1", "a", "x"]), .insert(["2", "b", "y"]), .insert(["3", "c", "z"])])
        // Nothing was told under the new key yet, but every later event will be.
        #expect(try trial.compare([["1", "a", "x"], ["2", "b", "y"], ["3", "c", "z"]], as: byName).oldKeyCount == 3)
        try trial.fold(
            [.update(["2", "b", "w"]), .update(["3", "d", "z"], before: [nil, "c", nil], .key)], under: byName)
        let mixed = try trial.compare([["1", "a", "x"], ["2", "b", "w"], ["3", "d", "z"]], as: byName)
        #expect(mixed.oldKeyCount == 3 && mixed.equalCount == 3 && !mixed.isEqual)
        try trial.fold([.truncate, .insert(["1", "a", "x"])], under: byName)
        #expect(try trial.compare([["1", "a", "x"]], as: byName).isEqual)
    }

    @Test func aKeyThatIsMadeOrDroppedLeavesAllRowsBehindUntilATruncate() throws {
        for (first, second) in [([], ["id"]), (["id"], [])] {
            let trial = try FoldTrial(key: first)
            try trial.fold([.insert(["1", "a", "x"]), .insert(["2", "b", "y"])])
            let other = sampleRelation(columns: ["id", "name", "note"], key: second)
            try trial.fold([.insert(["3", "c", "z"])], under: other)
            #expect(trial.fold.obstacle != nil)
            #expect(try trial.fold.rowsUnderOldKeys() == 2)
            try trial.fold([.truncate, .insert(["3", "c", "z"])], under: other)
            #expect(trial.fold.obstacle == nil)
            #expect(try trial.compare([["3", "c", "z"]], as: other).isEqual)
        }
    }

    @Test func aKeyThatIsOrderedOrTypedOtherwiseAndSpelledAlikeIsTheSame() throws {
        let trial = try FoldTrial(key: ["id", "name"])
        try trial.fold([.insert(["1", "a", "x"])])
        let other = sampleRelation(
            columns: ["id", "name", "note"], key: ["name", "id"], types: ["id": 1043, "name": 25])
        #expect(try trial.compare([["1", "a", "x"]], as: other).oldKeyCount == 0)
    }

    /// A text may say the same in capitals or without hyphens.
    @Test func aTextThatBecomesAUUIDIsSpelledAnew() throws {
        let trial = try FoldTrial(key: ["id"])
        try trial.fold([.insert(["1", "a", "x"])])
        let other = sampleRelation(columns: ["id", "name", "note"], key: ["id"], types: ["id": 2950])
        #expect(try trial.compare([["1", "a", "x"]], as: other).oldKeyCount == 1)
    }

    @Test func aKeyWhoseColumnIsNewLeavesOldRowsUnjudged() throws {
        let trial = try FoldTrial()
        try trial.fold([.insert(["1", "a", "x"])])
        let other = sampleRelation(columns: ["uid", "name", "note"], key: ["uid"])
        try trial.fold([.insert(["u2", "b", "y"])], under: other)
        #expect(trial.fold.lostKeys != nil)
        let report = try trial.compare(
            [["u1", "a", "x"], ["u2", "b", "y"]], as: other, coverage: .changed(why: trial.fold.lostKeys ?? ""))
        #expect(report.oldKeyCount == 1 && report.unjudgedCount == 1 && report.equalCount == 1)
        #expect(report.differenceCount == 1)
    }

    @Test func aTableWithoutAKeyWhoseColumnsChangeCannotBeCompared() throws {
        let trial = try FoldTrial(key: [])
        try trial.fold([.insert(["1", "a", "x"])])
        try trial.fold(
            [.insert(["1", "a", "x", "y"])], under: sampleRelation(columns: ["id", "name", "note", "n"], key: []))
        #expect(trial.fold.obstacle?.contains("its columns changed") == true)
    }

    @Test func theTemporaryFileHasNoNameAndTheFolderStaysEmpty() throws {
        let trial = try FoldTrial()
        try trial.fold([.insert(["1", "a", "x"])])
        #expect(try FileManager.default.contentsOfDirectory(atPath: trial.folder.path).isEmpty)
    }

    @Test func aFolderThatCannotBeWrittenIsNamed() throws {
        #expect {
            _ = try FoldStore(directory: "/proc/self/none")
        } throws: { error in (error as? ConnectorFailure)?.code == "verify.scratch" }
    }
}

import ByteKit
import ChangeModel
import Testing

@testable import PostgresSource

/// The pieces of a snapshot that need no server.
struct SnapshotPartsTests {
    @Test func aSnapshotSeesWhatWasOverBeforeIt() throws {
        let snapshot = try #require(ServerSnapshot("100:110:103,107"))
        #expect([99, 100, 102, 104, 109].allSatisfy { snapshot.sees($0) })
        #expect([103, 107, 110, 111, 4000].allSatisfy { !snapshot.sees($0) })
    }

    @Test func transactionNumbersWrapAround() throws {
        let epoch: UInt64 = 3 << 32
        let snapshot = try #require(ServerSnapshot("\(epoch - 5):\(epoch + 5):\(epoch - 2),\(epoch + 3)"))
        #expect(snapshot.sees(UInt32.max - 4))
        #expect(snapshot.sees(UInt32.max - 10))
        #expect(!snapshot.sees(UInt32.max - 1))
        #expect(snapshot.sees(2))
        #expect(!snapshot.sees(3))
        #expect(!snapshot.sees(5))
        #expect(snapshot.number(of: UInt32.max) == epoch - 1)
    }

    @Test(arguments: ["", "1", "1:2", "2:1:", "1:5:7", "1:5:x", "a:b:c", "1:5:0"])
    func otherTextIsNoSnapshot(text: String) { #expect(ServerSnapshot(text) == nil) }

    @Test func aMarkIsReadAsItWasWritten() {
        let mark = SnapshotMark(run: "slot/1f", number: 77, bound: .high)
        #expect(SnapshotMark(Array(mark.text.utf8).rawBytes) == mark)
        for other in ["", "a b", "a x low", "a 1 middle", "a 1 low more"] {
            #expect(SnapshotMark(Array(other.utf8).rawBytes) == nil)
        }
    }

    @Test func rowsOfCopyBecomeTheTuplesOfTheStream() {
        func values(_ row: String, _ count: Int) -> [String?]? {
            var out = OutputBuffer()
            let bytes = Array(row.utf8)
            guard CopyText.append(bytes.rawBytes, columnCount: count, checksText: true, to: &out) else { return nil }
            guard TupleReader.length(ofTupleIn: out.bytes) == out.count, var reader = TupleReader(out.bytes) else {
                return ["damaged"]
            }
            return (0..<reader.columnCount).map { _ -> String? in
                guard let value = reader.next(), value.kind != ValueKind.null else { return nil }
                return String(validatingUTF8: value.bytes)
            }
        }
        #expect(values("1\ta\n", 2) == ["1", "a"])
        #expect(values("\\N\t\\\\N\n", 2) == [nil, "\\N"])
        #expect(values("a\\tb\\n\\r\\b\\f\\v\\\\\n", 1) == ["a\tb\n\r\u{8}\u{c}\u{b}\\"])
        #expect(values("\t\t\n", 3) == ["", "", ""])
        #expect(values("abcdefghijklmnop\tqrstuvwxyz0123456789\t\\\\x00ff\n", 3)?[2] == "\\x00ff")
        #expect(values("\n", 0) == [])
        #expect(values("\n", 1) == [""])
        #expect(values("1\t2\n", 3) == nil)
        #expect(values("1\t2\n", 1) == nil)
    }

    @Test func tabsAndBackslashesAreFoundAtEveryPlace() {
        for first in 0...20 {
            for second in 0...20 {
                for place in 0...second {
                    let (a, b) = (String(repeating: "a", count: first), String(repeating: "b", count: second))
                    let front = b.prefix(place)
                    let rest = b.dropFirst(place)
                    let row = Array("\(a)\t\(front)\\\\\(rest)\tc\n".utf8)
                    var out = OutputBuffer()
                    #expect(CopyText.append(row.rawBytes, columnCount: 3, checksText: false, to: &out))
                    var expected = OutputBuffer()
                    expected.append(bigEndian: UInt16(3))
                    for value in [a, "\(front)\\\(rest)", "c"] {
                        expected.append(ValueKind.text)
                        expected.append(bigEndian: UInt32(value.utf8.count))
                        expected.append(utf8: value)
                    }
                    let isSame = out.bytes.hasSameBytes(as: expected.bytes)
                    #expect(isSame, "\(first) \(second) \(place)")
                }
            }
        }
    }

    @Test func textThatIsNoUTF8IsMarked() {
        var out = OutputBuffer()
        let row: [UInt8] = [0xC3, 0x28, 9, 0x61]
        #expect(CopyText.append(row.rawBytes, columnCount: 2, checksText: true, to: &out))
        #expect(out.bytes.byte(2) == ValueKind.malformedText)
        #expect(TupleReader.length(ofTupleIn: out.bytes) == out.count)
    }

    @Test func byteTablesFindWhatWasAddedAndNothingElse() {
        var table = ByteTable()
        for number in 0..<5000 { #expect(table.insert(Array("key \(number)".utf8).rawBytes) == (number, true)) }
        for number in 0..<5000 { #expect(table.find(Array("key \(number)".utf8).rawBytes) == number) }
        #expect(table.insert(Array("key 17".utf8).rawBytes) == (17, false))
        #expect(table.find(Array("key 5000".utf8).rawBytes) == nil)
    }
}

/// What changes between the watermarks do to a chunk.
struct SnapshotWindowTests {
    private static let visible: UInt32 = 5
    private static let invisible: UInt32 = 20

    /// Rows (key, note, big) 1 to 4, read by a snapshot that sees transactions below 10.
    private func chunk() -> SnapshotChunk {
        let chunk = SnapshotChunk(number: 1, table: 7, work: .part(0), turn: 0)
        chunk.snapshot = ServerSnapshot("10:10:")
        chunk.keyColumns = [0]
        for id in 1...4 {
            _ = chunk.append(copyRow: Array("\(id)\told\tbig\(id)\n".utf8).rawBytes, columnCount: 3, checksText: false)
        }
        return chunk
    }

    private func tuple(_ values: [String?]) -> [UInt8] {
        var out = OutputBuffer()
        out.append(bigEndian: UInt16(values.count))
        for value in values {
            guard let value else {
                out.append(ValueKind.unchanged)
                continue
            }
            out.append(ValueKind.text)
            out.append(bigEndian: UInt32(value.utf8.count))
            out.append(utf8: value)
        }
        return [UInt8](copying: out.bytes)
    }

    private func key(_ id: String) -> [UInt8] {
        var out = OutputBuffer()
        _ = RowKey.append(of: tuple([id]).rawBytes, else: RawSpan(), columns: [0], to: &out)
        return [UInt8](copying: out.bytes)
    }

    private func rows(of window: SnapshotWindow) throws -> [String] {
        var builder = ChangeBatchBuilder(capacity: 100)
        let relation = builder.index(of: Relation(sourceID: 7, schema: "public", name: "t", columns: []))
        let transaction = builder.begin(TransactionInfo(commit: 1, id: 1, committedAt: 0))
        let count = window.write(into: &builder, relation: relation, transaction: transaction, first: 100)
        let batch = try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(0)))
        #expect(batch.seen.map(\.identity.ordinal) == (0..<count).map { 100 + $0 })
        return batch.seen.map(\.line)
    }

    /// Plays changes before or after the chunk's rows are there.
    private func outcome(isLate: Bool, _ changes: (SnapshotWindow) -> Void) throws -> [String] {
        let window = SnapshotWindow(number: 1, table: 7, firstSequence: 0)
        if isLate { window.receive(chunk()) }
        changes(window)
        if !isLate { window.receive(chunk()) }
        return try rows(of: window).map { String($0.dropFirst("snapshot public.t ".count)) }
    }

    @Test(arguments: [false, true]) func rowsThatNothingHappenedToStay(isLate: Bool) throws {
        let rows = try outcome(isLate: isLate) { window in
            window.changed(.told, key: key("9").rawBytes, tuple: RawSpan(), by: Self.invisible)
        }
        #expect(rows == ["1,old,big1", "2,old,big2", "3,old,big3", "4,old,big4"])
    }

    @Test(arguments: [false, true]) func aRowThatALaterEventTellsLeaves(isLate: Bool) throws {
        let rows = try outcome(isLate: isLate) { window in
            window.changed(.told, key: key("2").rawBytes, tuple: RawSpan(), by: Self.invisible)
            window.changed(.told, key: key("3").rawBytes, tuple: RawSpan(), by: Self.visible)
        }
        #expect(rows == ["1,old,big1", "3,old,big3", "4,old,big4"])
    }

    @Test(arguments: [false, true]) func aRowThatALaterEventTellsInPartStaysAsTheEventLeftIt(isLate: Bool) throws {
        let rows = try outcome(isLate: isLate) { window in
            window.changed(.partlyTold, key: key("2").rawBytes, tuple: tuple(["2", "new", nil]).rawBytes, by: 20)
            window.changed(.partlyTold, key: key("2").rawBytes, tuple: tuple(["2", nil, nil]).rawBytes, by: 21)
            window.changed(.partlyTold, key: key("3").rawBytes, tuple: tuple(["3", "seen", nil]).rawBytes, by: 5)
            window.changed(.partlyTold, key: key("4").rawBytes, tuple: tuple(["4", "x", nil]).rawBytes, by: 22)
            window.changed(.told, key: key("4").rawBytes, tuple: RawSpan(), by: 23)
            window.changed(.partlyTold, key: key("4").rawBytes, tuple: tuple(["4", "y", nil]).rawBytes, by: 24)
        }
        #expect(rows == ["1,old,big1", "2,new,big2", "3,old,big3"])
    }

    @Test(arguments: [false, true]) func anEmptiedTableLeavesNothing(isLate: Bool) throws {
        let rows = try outcome(isLate: isLate) { window in
            window.changed(.emptied, key: RawSpan(), tuple: RawSpan(), by: Self.invisible)
            window.changed(.partlyTold, key: key("1").rawBytes, tuple: tuple(["1", "x", nil]).rawBytes, by: 21)
        }
        #expect(rows == [])
    }

    @Test func manyChangesWithoutTheRowsHoldTheStreamUp() {
        let window = SnapshotWindow(number: 1, table: 7, firstSequence: 0)
        #expect(!window.isFull)
        for number in 0..<400_000 {
            window.changed(.told, key: key("\(number % 100)").rawBytes, tuple: RawSpan(), by: 20)
            if window.isFull { break }
        }
        #expect(window.isFull)
        window.receive(chunk())
        #expect(!window.isFull)
    }
}

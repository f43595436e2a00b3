import ByteKit
import Testing

extension OutputBuffer {
    /// A copy of the content, for comparisons.
    var content: [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}

@Suite struct OutputBufferTests {
    @Test func contentSurvivesEveryGrowth() {
        var buffer = OutputBuffer(capacity: 0)
        var expected: [UInt8] = []
        for step in 0..<3000 {
            let byte = UInt8(truncatingIfNeeded: step &* 31)
            buffer.append(byte)
            expected.append(byte)
            if step % 97 == 0 {
                let run = [UInt8](repeating: byte, count: step)
                buffer.append(run)
                expected += run
            }
        }
        #expect(buffer.count == expected.count)
        #expect(buffer.content == expected)
    }

    @Test func oneAppendMayBeLargerThanTwiceTheCapacity() {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append(7)
        let run = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
        buffer.append(run)
        #expect(buffer.content == [7] + run)
    }

    @Test func emptyAppendsChangeNothing() {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append([])
        buffer.append("")
        buffer.append(utf8: "")
        buffer.append(base64: [UInt8]().rawBytes)
        buffer.append(jsonEscaping: [UInt8]().rawBytes)
        #expect(buffer.content == [])
    }

    @Test func truncateCutsAndNeverGrows() {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append("abcdef")
        buffer.truncate(to: 100)
        #expect(buffer.content == Array("abcdef".utf8))
        buffer.truncate(to: 2)
        #expect(buffer.content == Array("ab".utf8))
        buffer.append("X")
        #expect(buffer.content == Array("abX".utf8))
        buffer.truncate(to: -1)
        #expect(buffer.content == [])
        buffer.truncate(to: .max)
        #expect(buffer.content == [])
    }

    @Test func removeFirstMovesTheRestToTheFront() {
        for length in [-1, 0, 1, 3, 5, 6, 7, Int.max] {
            var buffer = OutputBuffer(capacity: 16)
            buffer.append("abcdef")
            buffer.removeFirst(length)
            #expect(buffer.content == Array(Array("abcdef".utf8).dropFirst(max(0, length))))
            buffer.append("!")
            #expect(buffer.content.last == UInt8(ascii: "!"))
        }
    }

    @Test func removeAllKeepsNothing() {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append("abcdef")
        buffer.removeAll()
        #expect(buffer.count == 0)
        buffer.append("g")
        #expect(buffer.content == [UInt8(ascii: "g")])
    }

    @Test func integersLieInTheSaidByteOrderAtOddPlaces() {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append(0xEE)
        buffer.append(bigEndian: UInt32(0x0102_0304))
        buffer.append(bigEndian: Int16(-2))
        buffer.append(littleEndian: UInt64(0x0102_0304_0506_0708))
        #expect(buffer.content == [0xEE, 1, 2, 3, 4, 0xFF, 0xFE, 8, 7, 6, 5, 4, 3, 2, 1])
    }

    @Test(arguments: [Int.min, -1, 4, 5, 7, Int.max - 3, Int.max])
    func overwriteOutsideOfTheContentDoesNothing(offset: Int) {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append("abcdefg")
        let before = buffer.content
        buffer.overwrite(bigEndian: 0x3132_3334, at: offset)
        #expect(buffer.content == before)
    }

    @Test func overwriteInsideReplacesFourBytes() {
        for offset in 0...3 {
            var buffer = OutputBuffer(capacity: 16)
            buffer.append("abcdefg")
            buffer.overwrite(bigEndian: 0x3132_3334, at: offset)
            var expected = Array("abcdefg".utf8)
            expected.replaceSubrange(offset..<(offset + 4), with: Array("1234".utf8))
            #expect(buffer.content == expected)
        }
    }

    @Test func appendUninitializedCountsOnlyWhatWasWritten() {
        for (answer, kept) in [(-1, 0), (0, 0), (3, 3), (8, 8), (9, 0)] {
            var buffer = OutputBuffer(capacity: 16)
            buffer.append("x")
            let got = buffer.appendUninitialized(room: 8) { room in
                for index in 0..<room.count { room[index] = 65 }
                return answer
            }
            #expect(got == answer)
            #expect(buffer.content == [UInt8(ascii: "x")] + [UInt8](repeating: 65, count: kept))
        }
    }

    @Test func frozenBytesAreTheContent() {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append(utf8: "Größe 🐎")
        let frozen = buffer.freeze()
        let copy = FrozenBytes(copying: frozen.bytes)
        #expect(frozen.count == Array("Größe 🐎".utf8).count)
        #expect(frozen.bytes.withUnsafeBytes { Array($0) } == Array("Größe 🐎".utf8))
        #expect(copy.bytes.withUnsafeBytes { Array($0) } == Array("Größe 🐎".utf8))
        #expect(FrozenBytes(copying: [UInt8]().rawBytes).count == 0)
    }

    @Test func frozenValuesLoadAtOddPlaces() {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append(1)
        buffer.append(littleEndian: UInt64(0x1122_3344_5566_7788))
        let frozen = buffer.freeze()
        #expect(frozen.load(at: 1, as: UInt64.self).littleEndian == 0x1122_3344_5566_7788)
    }
}

import ByteKit
import Testing

@Suite struct ByteReaderTests {
    @Test func numbersAreReadMostSignificantByteFirst() {
        let bytes: [UInt8] = [9, 1, 2, 3, 4, 0xFF, 0xFE, 1, 2, 3, 4, 5, 6, 7, 8]
        var reader = ByteReader(bytes.rawBytes)
        let read = (
            reader.byte(), reader.bigEndian(UInt32.self), reader.bigEndian(Int16.self), reader.bigEndian(UInt64.self)
        )
        #expect(read.0 == 9)
        #expect(read.1 == 0x0102_0304)
        #expect(read.2 == -2)
        #expect(read.3 == 0x0102_0304_0506_0708)
        let (offset, left, beyond) = (reader.offset, reader.remaining, reader.byte())
        #expect(offset == bytes.count)
        #expect(left == 0)
        #expect(beyond == nil)
    }

    /// At each prefix a read either gives what the whole gives, or nil, and then it moves nothing.
    @Test func everyPrefixGivesTheValueOrNilWithoutAMove() {
        let whole: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
        for length in 0...whole.count {
            for start in 0...length {
                let prefix = Array(whole.prefix(length))
                check(prefix, start, 1) { (reader: inout ByteReader) in reader.byte().map { [$0] } }
                check(prefix, start, 2) { (reader: inout ByteReader) in reader.bigEndian(UInt16.self).map(bytes) }
                check(prefix, start, 4) { (reader: inout ByteReader) in reader.bigEndian(UInt32.self).map(bytes) }
                check(prefix, start, 8) { (reader: inout ByteReader) in reader.bigEndian(UInt64.self).map(bytes) }
                for count in 0...11 {
                    check(prefix, start, count) { (reader: inout ByteReader) in
                        guard let part = reader.take(count) else { return nil }
                        return part.withUnsafeBytes { Array($0) }
                    }
                }
            }
        }
    }

    private func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    /// Reads `count` bytes after skipping `start`, and compares value and place with what they must be.
    private func check(_ bytes: [UInt8], _ start: Int, _ count: Int, _ read: (inout ByteReader) -> [UInt8]?) {
        var reader = ByteReader(bytes.rawBytes)
        let wasSkipped = reader.skip(start)
        let result = read(&reader)
        let (offset, left) = (reader.offset, reader.remaining)
        let expected = start + count <= bytes.count ? Array(bytes[start..<(start + count)]) : nil
        #expect(wasSkipped)
        #expect(result == expected)
        #expect(offset == start + (expected?.count ?? 0))
        #expect(left == bytes.count - offset)
    }

    @Test(arguments: [-1, Int.min, 4, Int.max]) func impossibleCountsAreRefused(count: Int) {
        let bytes: [UInt8] = [1, 2, 3]
        var reader = ByteReader(bytes.rawBytes)
        let wasTaken = reader.take(count) != nil
        let wasSkipped = reader.skip(count)
        let offset = reader.offset
        #expect(!wasTaken)
        #expect(!wasSkipped)
        #expect(offset == 0)
    }

    @Test func cStringStopsAtItsZeroAndConsumesIt() {
        let bytes = Array("größe".utf8) + [0] + Array("x".utf8) + [0, 0]
        var reader = ByteReader(bytes.rawBytes)
        let texts = [reader.cString(), reader.cString(), reader.cString(), reader.cString()]
        let offset = reader.offset
        #expect(texts == ["größe", "x", "", nil])
        #expect(offset == bytes.count)
    }

    @Test func cStringWithoutZeroOrUTF8IsNilWithoutAMove() {
        let unended = (0...3).map { Array("abc".utf8.prefix($0)) }
        for bytes in unended + [[0x61, 0xC3, 0], [0xFF, 0]] {
            var reader = ByteReader(bytes.rawBytes)
            let text = reader.cString()
            let offset = reader.offset
            #expect(text == nil)
            #expect(offset == 0)
        }
    }

    @Test func textOfASpanIsCheckedUTF8() {
        let samples: [([UInt8], String?)] = [
            (Array("ü".utf8), "ü"), ([], ""), ([0xC3], nil), ([0xED, 0xA0, 0x80], nil),
        ]
        for (bytes, expected) in samples {
            let text = String(validatingUTF8: bytes.rawBytes)
            #expect(text == expected)
        }
    }
}

import ByteKit
import ChangeModel
import Testing

@Suite struct TupleTests {
    @Test(arguments: SampleTuples.values) func valuesReadBack(values: [SampleValue]) {
        let bytes = SampleTuples.bytes(values)
        #expect(SampleTuples.read(bytes) == values)
        #expect(SampleTuples.length(bytes) == bytes.count)
    }

    @Test(arguments: SampleTuples.values) func everyPrefixIsNil(values: [SampleValue]) {
        let bytes = SampleTuples.bytes(values)
        for length in 0..<bytes.count {
            #expect(SampleTuples.read(Array(bytes.prefix(length))) == nil)
            #expect(SampleTuples.length(Array(bytes.prefix(length))) == nil)
        }
    }

    @Test(arguments: SampleTuples.values) func bytesBehindATupleAreLeftAlone(values: [SampleValue]) {
        let bytes = SampleTuples.bytes(values)
        #expect(SampleTuples.length(bytes + [0x74, 0, 0]) == bytes.count)
    }

    /// A damaged tuple is nil or another tuple that lies in its bytes; reading it never traps.
    @Test(arguments: SampleTuples.values) func everySingleByteMutationIsNilOrATupleInsideOfTheBytes(
        values: [SampleValue]
    ) {
        let whole = SampleTuples.bytes(values)
        var refused = 0
        for place in whole.indices {
            for byte in UInt8(0)...255 where byte != whole[place] {
                var bytes = whole
                bytes[place] = byte
                let read = SampleTuples.read(bytes)
                let length = SampleTuples.length(bytes)
                if (read == nil) != (length == nil) { Issue.record("\(byte) at \(place): two answers") }
                if let length, length > bytes.count { Issue.record("\(byte) at \(place): longer than its bytes") }
                if read == values { Issue.record("\(byte) at \(place): the damage does not show") }
                if read == nil { refused += 1 }
            }
        }
        #expect(values.isEmpty || refused > 0)
    }

    @Test(arguments: [Int32.min, -1, 3, Int32.max]) func lengthsOutsideOfTheBytesAreNil(length: Int32) {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append(bigEndian: UInt16(1))
        buffer.append(ValueKind.text)
        buffer.append(bigEndian: length)
        buffer.append("ab")
        let bytes = buffer.bytes.withUnsafeBytes { Array($0) }
        #expect(SampleTuples.read(bytes) == nil)
        #expect(SampleTuples.length(bytes) == nil)
    }

    @Test func onlyTheDocumentedKindsAreKnown() {
        let withBytes = Set("tbirx".utf8)
        let without = Set("nu".utf8)
        for kind in UInt8(0)...255 {
            #expect(ValueKind.hasBytes(kind) == withBytes.contains(kind))
            let bytes: [UInt8] = [0, 1, kind, 0, 0, 0, 0]
            #expect((SampleTuples.read(bytes) != nil) == (withBytes.contains(kind) || without.contains(kind)))
        }
    }
}

import ByteKit
import ChangeModel

/// Reading a tuple ends inside of its bytes, and reading and measuring agree.
@_cdecl("LLVMFuzzerTestOneInput")
public func tupleFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = RawSpan(_unsafeStart: start, byteCount: count)
    let length = TupleReader.length(ofTupleIn: input)
    guard var reader = TupleReader(input) else {
        precondition(count < 2 && length == nil)
        return 0
    }
    var written = OutputBuffer(capacity: count)
    written.append(bigEndian: UInt16(reader.columnCount))
    for _ in 0..<reader.columnCount {
        guard let value = reader.next() else {
            precondition(length == nil)
            return 0
        }
        written.append(value.kind)
        if ValueKind.hasBytes(value.kind) { written.append(bigEndian: UInt32(value.bytes.byteCount)) }
        written.append(value.bytes)
    }
    precondition(length == reader.offset && reader.offset <= count)
    // What was read, written again, is the same bytes.
    let isSame = written.bytes.withUnsafeBytes {
        $0.elementsEqual(UnsafeRawBufferPointer(start: start, count: $0.count))
    }
    precondition(written.count == length && isSame)
    return 0
}

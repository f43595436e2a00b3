import ByteKit

/// JSON that was embedded is UTF-8 in one line without loose white space, and embedding it again changes nothing.
@_cdecl("LLVMFuzzerTestOneInput")
public func embeddedJSONFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = RawSpan(_unsafeStart: start, byteCount: count)
    var once = OutputBuffer(capacity: 16)
    guard once.append(embeddedJSON: input, depthMax: 100) else {
        precondition(once.count == 0)
        return 0
    }
    precondition(once.count > 0 && once.count <= count && UTF8Check.isValid(once.bytes))
    for place in 0..<once.count { precondition(once.bytes.byte(place) >= 0x20) }
    var again = OutputBuffer(capacity: 16)
    precondition(again.append(embeddedJSON: once.bytes, depthMax: 100) && again.bytes.hasSameBytes(as: once.bytes))
    return 0
}

import ByteKit

/// The check says what the standard library's decoder says.
@_cdecl("LLVMFuzzerTestOneInput")
public func utf8CheckFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let isValid = UTF8Check.isValid(RawSpan(_unsafeStart: start, byteCount: count))
    let input = UnsafeBufferPointer(start: start, count: count)
    precondition(isValid == (String(validating: input, as: UTF8.self) != nil))
    return 0
}

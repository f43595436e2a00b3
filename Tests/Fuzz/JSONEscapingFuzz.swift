import ByteKit

/// Escaped text reads back to the same bytes and has nothing in it that ends or breaks a JSON string.
@_cdecl("LLVMFuzzerTestOneInput")
public func jsonEscapingFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    var buffer = OutputBuffer(capacity: 16)
    buffer.append(jsonEscaping: input.rawBytes)
    let escaped = buffer.bytes.withUnsafeBytes { Array($0) }
    precondition(unescaped(escaped) == input)
    return 0
}

/// Reads the inside of a JSON string; nil when it is not one.
private func unescaped(_ bytes: [UInt8]) -> [UInt8]? {
    let short: [UInt8: UInt8] = [0x22: 0x22, 0x5C: 0x5C, 0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9]
    var out: [UInt8] = []
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        index += 1
        guard byte == 0x5C else {
            if byte < 0x20 || byte == 0x22 { return nil }
            out.append(byte)
            continue
        }
        guard index < bytes.count else { return nil }
        if let value = short[bytes[index]] {
            out.append(value)
            index += 1
        } else {
            guard bytes[index] == UInt8(ascii: "u"), index + 4 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 4)], as: UTF8.self), radix: 16),
                value < 0x20
            else { return nil }
            out.append(value)
            index += 5
        }
    }
    return out
}

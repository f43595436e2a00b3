internal import ByteKit

extension RawSpan {
    /// Gives the lines `name:value` of ``Record/attributes`` or ``Record/headers`` to `body`; a line without a name or
    /// without a colon is passed over.
    package func forEachAttribute(_ body: (_ name: RawSpan, _ value: RawSpan) -> Void) {
        var start = 0
        while start < byteCount {
            var end = start
            var colon = -1
            while end < byteCount, byte(end) != 10 {
                if colon < 0, byte(end) == UInt8(ascii: ":") { colon = end }
                end += 1
            }
            if colon > start { body(extracting(start..<colon), extracting((colon + 1)..<end)) }
            start = end + 1
        }
    }
}

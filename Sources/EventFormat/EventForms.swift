internal import ByteKit
internal import ChangeModel
internal import JSONSchema

/// Says what values of tuples are in events, for whoever judges events before they are written.
///
/// It keeps to what ``EventWriter`` writes; a test compares the two for all types.
struct EventForms: ~Copyable {
    private var scratch = OutputBuffer(capacity: 256)
    private var structures = StructureWriter()

    /// More memory than this is given back after a value.
    private static let scratchBytesMax = 1 << 20

    /// Gives a value's form and bytes to `body`.
    @inline(__always)
    mutating func with<T>(
        _ kind: UInt8, _ bytes: RawSpan, _ plan: ColumnPlan, _ column: Int, _ body: (JSONForm, RawSpan) -> T
    ) -> T {
        switch kind {
        case ValueKind.null: return body(.null, bytes)
        case ValueKind.text: return withText(bytes, plan, column, body)
        case ValueKind.integer, ValueKind.real:
            return body(NumberText.isNumber(bytes) ? .number : .string, bytes)
        default: return withBase64(bytes, body)
        }
    }

    @inline(__always)
    private mutating func withText<T>(
        _ bytes: RawSpan, _ plan: ColumnPlan, _ column: Int, _ body: (JSONForm, RawSpan) -> T
    ) -> T {
        let form = plan.columns[column].form
        switch form {
        case .string: return UTF8Check.isValid(bytes) ? body(.string, bytes) : withBase64(bytes, body)
        case .integer: return body(NumberText.isInteger(bytes) ? .number : .string, bytes)
        case .float: return body(NumberText.isNumber(bytes) ? .number : .string, bytes)
        case .boolean:
            guard let truth = truth(bytes) else { return body(.string, bytes) }
            return body(truth ? .true : .false, bytes)
        case .bytes, .timestamp, .timestampTZ, .timeTZ, .json, .structure:
            return withRarer(bytes, plan, column, body)
        }
    }

    private mutating func withRarer<T>(
        _ bytes: RawSpan, _ plan: ColumnPlan, _ column: Int, _ body: (JSONForm, RawSpan) -> T
    ) -> T {
        let description = plan.columns[column]
        scratch.removeAll()
        defer { if scratch.count > Self.scratchBytesMax { scratch = OutputBuffer(capacity: 256) } }
        switch description.form {
        case .structure:
            let fits = structures.append(bytes, Int(description.node), plan, to: &scratch)
            return fits ? body(.json, scratch.bytes) : body(.string, bytes)
        case .json:
            let isTyped = scratch.append(value: bytes, as: .json) == .typed
            return isTyped ? body(.json, scratch.bytes) : body(.string, bytes)
        case .bytes:
            if let digits = hexDigits(bytes), scratch.append(base64OfHex: digits) {
                return body(.string, scratch.bytes)
            }
        default: if scratch.append(rfc3339: bytes, as: description.form) { return body(.string, scratch.bytes) }
        }
        return body(.string, bytes)
    }

    private mutating func withBase64<T>(_ bytes: RawSpan, _ body: (JSONForm, RawSpan) -> T) -> T {
        scratch.removeAll()
        scratch.append(base64: bytes)
        return body(.string, scratch.bytes)
    }
}

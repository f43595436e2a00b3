internal import ByteKit
internal import ChangeModel

/// How text of a column is spelled in JSON, decided once from its type.
enum TextForm: UInt8 {
    case boolean, integer, float, bytes, timestamp, timestampTZ, timeTZ, string
    /// JSON that becomes a part of the event.
    case json
    /// A value with a ``ValueNode``.
    case structure

    init(_ type: ValueType, _ shape: TypeShape?) {
        switch shape {
        case nil, .enumeration: self.init(type)
        case .json: self = .json
        case .array, .vector, .composite, .range, .multirange: self = .structure
        }
    }

    private init(_ type: ValueType) {
        self =
            switch type {
            case .boolean: .boolean
            case .int16, .int32, .int64: .integer
            case .float32, .float64, .number: .float
            case .bytes: .bytes
            case .timestamp: .timestamp
            case .timestampTZ: .timestampTZ
            case .timeTZ: .timeTZ
            case .numeric, .text, .json, .uuid, .date, .time, .interval, .dynamic, .other: .string
            }
    }

    /// True for the times that are spelled in RFC 3339.
    var isTime: Bool { self == .timestamp || self == .timestampTZ || self == .timeTZ }

    /// True when the key's text has the database's text as it is.
    var isItsOwnKeyText: Bool {
        switch self {
        case .boolean, .bytes, .timestamp, .timestampTZ, .timeTZ: false
        case .integer, .float, .string, .json, .structure: true
        }
    }
}

/// What became of a value's text.
enum Spelling {
    /// It stands as its type says.
    case typed
    /// It is a string of its base64.
    case base64
    /// Nothing was written: the text does not look like its type.
    case misfit
}

extension OutputBuffer {
    /// JSON in a column may be nested this deep. Readers have limits of their own, and one value must not cost the
    /// whole event.
    private static let depthMax = 100

    /// Appends the text of a plain value. A string that is not UTF-8 is a misfit too.
    @inline(__always)
    mutating func append(value text: RawSpan, as form: TextForm) -> Spelling {
        switch form {
        case .string: return append(jsonString: text) ? .typed : .misfit
        case .integer:
            guard NumberText.isInteger(text) else { return .misfit }
            append(text)
            return .typed
        case .boolean:
            guard let truth = truth(text) else { return .misfit }
            if truth { append("true") } else { append("false") }
            return .typed
        default: return append(rarerValue: text, as: form)
        }
    }

    private mutating func append(rarerValue text: RawSpan, as form: TextForm) -> Spelling {
        switch form {
        case .float:
            if NumberText.isNumber(text) {
                append(text)
                return .typed
            }
            return isNotFinite(text) && append(jsonString: text) ? .typed : .misfit
        case .bytes:
            guard let digits = hexDigits(text) else { return .misfit }
            let start = count
            append(UInt8(ascii: "\""))
            guard append(base64OfHex: digits) else {
                truncate(to: start)
                return .misfit
            }
            append(UInt8(ascii: "\""))
            return .base64
        case .timestamp, .timestampTZ, .timeTZ:
            append(UInt8(ascii: "\""))
            if append(rfc3339: text, as: form) {
                append(UInt8(ascii: "\""))
                return .typed
            }
            truncate(to: count - 1)
            return append(jsonString: text) ? .typed : .misfit
        case .json:
            let start = count
            guard append(embeddedJSON: text, depthMax: Self.depthMax) else { return .misfit }
            // JSON's own null would look like NULL.
            if count &- start == 4, bytes.byte(start) == UInt8(ascii: "n") {
                truncate(to: start)
                return .misfit
            }
            return .typed
        case .boolean, .integer, .string, .structure: return .misfit
        }
    }
}

/// PostgreSQL's text of a boolean.
@inline(__always)
func truth(_ bytes: RawSpan) -> Bool? {
    guard bytes.byteCount == 1 else { return nil }
    return switch bytes.byte(0) {
    case UInt8(ascii: "t"): true
    case UInt8(ascii: "f"): false
    default: nil
    }
}

/// The digits of PostgreSQL's hex format of bytea; nil for other text.
@_lifetime(copy bytes)
func hexDigits(_ bytes: RawSpan) -> RawSpan? {
    guard bytes.byteCount >= 2, bytes.byte(0) == UInt8(ascii: "\\"), bytes.byte(1) == UInt8(ascii: "x") else {
        return nil
    }
    return bytes.extracting(2..<bytes.byteCount)
}

/// True for the numbers that JSON has no spelling for: `NaN`, `Infinity`, `-Infinity`.
private func isNotFinite(_ text: RawSpan) -> Bool {
    switch text.byteCount {
    case 3: text.begins(with: "NaN")
    case 8: text.begins(with: "Infinity")
    case 9: text.begins(with: "-Infinity")
    default: false
    }
}

extension RawSpan {
    /// True when the first bytes are those of `literal`.
    func begins(with literal: StaticString) -> Bool {
        for place in 0..<literal.utf8CodeUnitCount where unsafe byte(place) != literal.utf8Start[place] {
            return false
        }
        return byteCount >= literal.utf8CodeUnitCount
    }
}

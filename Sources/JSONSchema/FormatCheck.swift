internal import ByteKit

/// The formats that are checked when formats are asserted (JSON Schema Validation, section 7.3).
///
/// Checks err on the side of letting text pass where the RFCs need data that is not here: host names of other scripts
/// are checked by their form, not by the tables of IDNA.
enum FormatCheck: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case dateTime, date, time, duration, email, idnEmail, hostname, idnHostname, ipv4, ipv6, uri, uriReference, iri
    case iriReference, uuid, uriTemplate, jsonPointer, relativeJSONPointer, regex

    /// The check of a format's name; nil for a name that is not known in a draft, which is no error.
    init?(name: String, _ draft: Dialect.Draft) {
        guard let check = Self.allCases.first(where: { $0.description == name }) else { return nil }
        if draft == .draft7 && (check == .duration || check == .uuid) { return nil }
        self = check
    }

    var description: String {
        switch self {
        case .dateTime: "date-time"
        case .date: "date"
        case .time: "time"
        case .duration: "duration"
        case .email: "email"
        case .idnEmail: "idn-email"
        case .hostname: "hostname"
        case .idnHostname: "idn-hostname"
        case .ipv4: "ipv4"
        case .ipv6: "ipv6"
        case .uri: "uri"
        case .uriReference: "uri-reference"
        case .iri: "iri"
        case .iriReference: "iri-reference"
        case .uuid: "uuid"
        case .uriTemplate: "uri-template"
        case .jsonPointer: "json-pointer"
        case .relativeJSONPointer: "relative-json-pointer"
        case .regex: "regex"
        }
    }

    /// True for text of this format, in valid UTF-8.
    func accepts(_ text: RawSpan) -> Bool {
        switch self {
        case .dateTime: DateTimeText.isDateTime(text)
        case .date: DateTimeText.isDate(text)
        case .time: DateTimeText.isTime(text)
        case .duration: DateTimeText.isDuration(text)
        case .email: HostText.isEmail(text, allowsUnicode: false)
        case .idnEmail: HostText.isEmail(text, allowsUnicode: true)
        case .hostname: HostText.isHostname(text, allowsUnicode: false)
        case .idnHostname: HostText.isHostname(text, allowsUnicode: true)
        case .ipv4: HostText.isIPv4(text)
        case .ipv6: HostText.isIPv6(text)
        case .uri: URIText.isURI(text, allowsUnicode: false, isReference: false)
        case .uriReference: URIText.isURI(text, allowsUnicode: false, isReference: true)
        case .iri: URIText.isURI(text, allowsUnicode: true, isReference: false)
        case .iriReference: URIText.isURI(text, allowsUnicode: true, isReference: true)
        case .uuid: Self.isUUID(text)
        case .uriTemplate: URIText.isTemplate(text)
        case .jsonPointer: URIText.isPointer(text)
        case .relativeJSONPointer: URIText.isRelativePointer(text)
        case .regex: String(validatingUTF8: text).map { TextPattern.isPattern($0) } ?? false
        }
    }

    private static func isUUID(_ text: RawSpan) -> Bool {
        guard text.byteCount == 36 else { return false }
        for place in 0..<36 {
            let isHyphen = place == 8 || place == 13 || place == 18 || place == 23
            guard isHyphen ? text.byte(place) == UInt8(ascii: "-") : text.byte(place).isHexDigit else { return false }
        }
        return true
    }
}

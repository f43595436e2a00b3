/// The name of a subject as the name of a folder: reversible, readable, and unable to name anything outside.
///
/// ASCII letters, digits, `-`, `_` and `.`, and letters, marks and digits of other scripts stand as they are. Every
/// other byte of the UTF-8 form becomes `%` and two upper-case hexadecimal digits, and so does a leading `.`.
enum SubjectName {
    /// Longest name of a folder that usual file systems take, in bytes.
    static let folderNameBytesMax = 255

    /// The folder's name; nil for a subject that has none because it is empty or too long.
    static func folderName(of subject: String) -> String? {
        var name = ""
        for scalar in subject.unicodeScalars {
            if isPlain(scalar) && !(scalar == "." && name.isEmpty) {
                name.unicodeScalars.append(scalar)
            } else {
                for byte in String(scalar).utf8 {
                    name += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
                }
            }
        }
        // The one name that a file at the top of the schema folder has.
        if name == SubjectRecord.registryFileName { name = "registry%2Ejson" }
        return name.isEmpty || name.utf8.count > folderNameBytesMax ? nil : name
    }

    /// The subject of a folder; nil for a name that no subject has.
    static func subject(ofFolder name: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(name.utf8)[...]
        while let byte = rest.popFirst() {
            if byte != UInt8(ascii: "%") {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let subject = String(validating: bytes, as: UTF8.self), let again = folderName(of: subject),
            again.utf8.elementsEqual(name.utf8)
        else { return nil }
        return subject
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return Character(scalar).isLetter || Character(scalar).isNumber || "-_.".unicodeScalars.contains(scalar)
        }
        return switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
            .spacingMark, .decimalNumber:
            true
        default: false
        }
    }
}

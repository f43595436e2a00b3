/// Classes of ASCII characters.
extension UInt8 {
    var isDigit: Bool { self >= 48 && self <= 57 }
    var isHexDigit: Bool { isDigit || (self | 0x20 >= 97 && self | 0x20 <= 102) }
    var isLetter: Bool { self | 0x20 >= 97 && self | 0x20 <= 122 }

    /// The value of a hexadecimal digit; nil for any other character.
    var hexValue: UInt8? {
        switch self {
        case 48...57: self - 48
        case 65...70: self - 55
        case 97...102: self - 87
        default: nil
        }
    }
}

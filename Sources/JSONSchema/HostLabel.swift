internal import ByteKit

/// One label of a host's name.
struct HostLabel {
    /// The characters that people see: those of another script where the label is written with `xn--`.
    let scalars: [Unicode.Scalar]
    /// How long the label is in ASCII.
    let asciiCount: Int

    private static let lengthMax = 63

    /// Nil for what is no label.
    init?(_ scalars: [Unicode.Scalar], allowsUnicode: Bool) {
        guard let first = scalars.first, let last = scalars.last, first != "-", last != "-",
            scalars.count <= Self.lengthMax
        else { return nil }
        if scalars.allSatisfy(\.isASCII) {
            guard scalars.allSatisfy({ $0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "-" }) else {
                return nil
            }
            guard Self.hasHyphensInThirdAndFourthPlace(scalars) else {
                (self.scalars, asciiCount) = (scalars, scalars.count)
                return
            }
            guard let decoded = Self.decoded(scalars) else { return nil }
            (self.scalars, asciiCount) = (decoded, scalars.count)
        } else {
            guard allowsUnicode, Self.isUnicodeLabel(scalars) else { return nil }
            (self.scalars, asciiCount) = (scalars, 4 + Punycode.encode(scalars).count)
            guard asciiCount <= Self.lengthMax else { return nil }
        }
    }

    /// What is behind `xn--`, when it is a label of another script in the one way to write it.
    private static func decoded(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar]? {
        let code = scalars.dropFirst(4)
        guard scalars[0].value | 0x20 == 0x78, scalars[1].value | 0x20 == 0x6E,
            let decoded = Punycode.decode(code), !decoded.allSatisfy(\.isASCII), decoded.first != "-",
            decoded.last != "-", isUnicodeLabel(decoded)
        else { return nil }
        let again = Punycode.encode(decoded).map { $0 | 0x20 }
        return again.elementsEqual(code.map { UInt8(truncatingIfNeeded: $0.value) | 0x20 }) ? decoded : nil
    }

    private static func hasHyphensInThirdAndFourthPlace(_ scalars: [Unicode.Scalar]) -> Bool {
        scalars.count >= 4 && scalars[2] == "-" && scalars[3] == "-"
    }

    /// The rules of RFC 5892 that need no tables: classes of characters, and the exceptions and contexts of its
    /// appendix A.
    private static func isUnicodeLabel(_ scalars: [Unicode.Scalar]) -> Bool {
        guard let first = scalars.first, !isMark(first), !hasHyphensInThirdAndFourthPlace(scalars) else { return false }
        for (index, scalar) in scalars.enumerated() {
            let before = index > 0 ? scalars[index - 1] : nil
            let after = index + 1 < scalars.count ? scalars[index + 1] : nil
            guard isAllowed(scalar) && isInContext(scalar, before, after, scalars) else { return false }
        }
        return true
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }

    private static let contextual: Set<UInt32> = [0xB7, 0x375, 0x5F3, 0x5F4, 0x30FB, 0x200C, 0x200D]
    private static let allowed: Set<UInt32> = [0xDF, 0x3C2, 0x6FD, 0x6FE, 0xF0B, 0x3007]
    private static let disallowed: Set<UInt32> = [
        0x640, 0x7FA, 0x302E, 0x302F, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303B,
    ]

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        if contextual.contains(scalar.value) || allowed.contains(scalar.value) || scalar == "-" { return true }
        if disallowed.contains(scalar.value) { return false }
        switch scalar.properties.generalCategory {
        case .lowercaseLetter, .otherLetter, .modifierLetter, .nonspacingMark, .spacingMark, .decimalNumber: return true
        default: return false
        }
    }

    private static func isInContext(
        _ scalar: Unicode.Scalar, _ before: Unicode.Scalar?, _ after: Unicode.Scalar?, _ all: [Unicode.Scalar]
    ) -> Bool {
        switch scalar.value {
        case 0xB7: before == "l" && after == "l"
        case 0x375: after.map { (0x370...0x3FF).contains($0.value) } ?? false
        case 0x5F3, 0x5F4: before.map { (0x590...0x5FF).contains($0.value) } ?? false
        case 0x30FB:
            all.contains {
                (0x3041...0x30FF).contains($0.value) && $0.value != 0x30FB || (0x4E00...0x9FFF).contains($0.value)
                    || (0x3400...0x4DBF).contains($0.value)
            }
        case 0x200C, 0x200D: before.map { $0.properties.canonicalCombiningClass == .virama } ?? false
        case 0x660...0x669: !all.contains { (0x6F0...0x6F9).contains($0.value) }
        case 0x6F0...0x6F9: !all.contains { (0x660...0x669).contains($0.value) }
        default: true
        }
    }
}

// MARK: - Direction

extension HostLabel {
    /// The rule of RFC 5893, section 2: in a name with a label that is written from right to left, each label keeps to
    /// one direction.
    static func keepDirection(_ labels: [HostLabel]) -> Bool {
        guard labels.contains(where: { $0.scalars.contains { !$0.isASCII } }), let rules = directionRules else {
            return true
        }
        let scratch = TextPattern.Scratch()
        func fits(_ label: HostLabel, _ pattern: TextPattern) -> Bool {
            let text = label.scalars.flatMap { Array(UTF8.encode($0) ?? .init()) }
            return pattern.search(text.rawBytes, scratch) == .found
        }
        guard labels.contains(where: { fits($0, rules.isRightToLeft) }) else { return true }
        return labels.allSatisfy { fits($0, fits($0, rules.isRightToLeft) ? rules.rightToLeft : rules.leftToRight) }
    }

    private struct DirectionRules {
        var isRightToLeft: TextPattern
        var rightToLeft: TextPattern
        var leftToRight: TextPattern
    }

    private static let directionRules: DirectionRules? = {
        func classes(_ names: String) -> String { names.split(separator: " ").map { "\\p{bc:\($0)}" }.joined() }
        let neutral = classes("ES CS ET ON BN NSM")
        let (left, right, number, arabic) = (classes("L"), classes("R AL"), classes("EN"), classes("AN"))
        let rightToLeft =
            "^(?=[\(right)])(?!.*\(number).*\(arabic)|.*\(arabic).*\(number))[\(right + number + arabic + neutral)]*"
            + "[\(right + number + arabic)]\(classes("NSM"))*$"
        let leftToRight = "^(?=\(left))[\(left + number + neutral)]*[\(left + number)]\(classes("NSM"))*$"
        guard let isRightToLeft = try? TextPattern(pcre: "[\(right + arabic)]"),
            let first = try? TextPattern(pcre: rightToLeft), let second = try? TextPattern(pcre: leftToRight)
        else { return nil }
        return DirectionRules(isRightToLeft: isRightToLeft, rightToLeft: first, leftToRight: second)
    }()
}

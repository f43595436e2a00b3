/// Characters of any script as ASCII (RFC 3492).
enum Punycode {
    /// The code of up to 63 characters.
    static func encode(_ scalars: [Unicode.Scalar]) -> [UInt8] {
        var output = scalars.filter(\.isASCII).map { UInt8(truncatingIfNeeded: $0.value) }
        let basicCount = output.count
        if basicCount > 0 { output.append(UInt8(ascii: "-")) }
        var (code, delta, bias): (UInt32, UInt32, UInt32) = (128, 0, 72)
        var done = basicCount
        while done < scalars.count {
            guard let next = scalars.lazy.map(\.value).filter({ $0 >= code }).min() else { break }
            delta += (next - code) * UInt32(done + 1)
            code = next
            for scalar in scalars where scalar.value <= code {
                guard scalar.value == code else {
                    delta += 1
                    continue
                }
                append(delta, bias, to: &output)
                bias = adapted(delta, UInt32(done + 1), isFirst: done == basicCount)
                delta = 0
                done += 1
            }
            delta += 1
            code += 1
        }
        return output
    }

    private static func append(_ delta: UInt32, _ bias: UInt32, to output: inout [UInt8]) {
        var (rest, limit) = (delta, UInt32(36))
        while true {
            let threshold = limit <= bias ? 1 : min(limit - bias, 26)
            if rest < threshold { break }
            output.append(letter(threshold + (rest - threshold) % (36 - threshold)))
            rest = (rest - threshold) / (36 - threshold)
            limit += 36
        }
        output.append(letter(rest))
    }

    private static func letter(_ digit: UInt32) -> UInt8 {
        UInt8(truncatingIfNeeded: digit < 26 ? digit + 97 : digit + 22)
    }

    /// The characters of a code; nil for what is none.
    static func decode(_ text: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar]? {
        var output: [Unicode.Scalar] = []
        var rest = text
        if let hyphen = text.lastIndex(of: "-") {
            output = Array(text[..<hyphen])
            rest = text[(hyphen + 1)...]
        }
        var (code, index, bias): (UInt32, UInt32, UInt32) = (128, 0, 72)
        while !rest.isEmpty {
            let before = index
            var (weight, limit): (UInt32, UInt32) = (1, 36)
            while true {
                guard let scalar = rest.popFirst(), let digit = digit(scalar) else { return nil }
                let (step, overflow) = digit.multipliedReportingOverflow(by: weight)
                let (sum, isTooLarge) = index.addingReportingOverflow(step)
                if overflow || isTooLarge { return nil }
                index = sum
                let threshold = limit <= bias ? 1 : min(limit - bias, 26)
                if digit < threshold { break }
                let (next, isOver) = weight.multipliedReportingOverflow(by: 36 - threshold)
                if isOver { return nil }
                weight = next
                limit += 36
            }
            let count = UInt32(output.count + 1)
            bias = adapted(index - before, count, isFirst: before == 0)
            let (next, isOver) = code.addingReportingOverflow(index / count)
            if isOver { return nil }
            code = next
            index %= count
            guard let scalar = Unicode.Scalar(code) else { return nil }
            output.insert(scalar, at: Int(index))
            index += 1
        }
        return output
    }

    private static func digit(_ scalar: Unicode.Scalar) -> UInt32? {
        switch scalar.value {
        case 48...57: scalar.value - 22
        case 65...90: scalar.value - 65
        case 97...122: scalar.value - 97
        default: nil
        }
    }

    private static func adapted(_ delta: UInt32, _ count: UInt32, isFirst: Bool) -> UInt32 {
        var (delta, steps): (UInt32, UInt32) = (isFirst ? delta / 700 : delta / 2, 0)
        delta += delta / count
        while delta > 455 {
            delta /= 35
            steps += 36
        }
        return steps + 36 * delta / (delta + 38)
    }
}

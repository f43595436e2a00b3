/// Keywords for strings and numbers.
extension SchemaRun {
    /// Patterns in messages are cut behind this many characters.
    private static let sourceLengthMax = 200

    mutating func checkString(_ node: Node, _ element: JSONTape.Node) -> Bool {
        var isValid = true
        for place in node.string.start..<node.string.end {
            let operation = operations[Int(place)]
            let fits: Bool
            switch operation.code {
            case .minLength:
                fits =
                    codePointCount(element) >= operation.a
                    || fail(node, operation, "must have \(operation.a) characters at least")
            case .maxLength:
                // Bytes are never fewer than characters.
                fits =
                    element.byteCount <= operation.a || codePointCount(element) <= operation.a
                    || fail(node, operation, "must have \(operation.a) characters at most")
            case .pattern:
                let pattern = schema.program.patterns[Int(operation.a)]
                fits =
                    matches(pattern, element)
                    || fail(node, operation, "must match the pattern \(Self.cut(pattern.source))")
            case .format: fits = checkFormat(operation, node, element)
            default: fits = true
            }
            if !fits {
                guard isExplaining else { return false }
                isValid = false
            }
        }
        return isValid
    }

    private mutating func codePointCount(_ element: JSONTape.Node) -> Int {
        spend(element.byteCount >> 6) ? tape.codePointCount(element) : 0
    }

    /// True when a pattern is found in a string.
    mutating func matches(_ pattern: TextPattern, _ element: JSONTape.Node) -> Bool {
        guard spend(1 + element.byteCount >> 6) else { return false }
        let outcome = search(pattern, element)
        return outcome == .gaveUp ? give(up: .pattern) : outcome == .found
    }

    /// A pattern as a message has it.
    private static func cut(_ source: String) -> String {
        source.count <= sourceLengthMax ? source : source.prefix(sourceLengthMax) + "…"
    }

    private mutating func checkFormat(_ operation: Operation, _ node: Node, _ element: JSONTape.Node) -> Bool {
        guard let check = FormatCheck(rawValue: UInt8(truncatingIfNeeded: operation.a)) else { return true }
        guard spend(1 + element.byteCount >> 3) else { return false }
        return tape.fits(check, element) || fail(node, operation, "must have the format \(check)")
    }

    mutating func checkNumber(_ node: Node, _ element: JSONTape.Node) -> Bool {
        guard spend(element.byteCount >> 5) else { return false }
        let short = tape.shortNumber(element)
        var exact: ExactNumber?
        var isValid = true
        for place in node.number.start..<node.number.end {
            let operation = operations[Int(place)]
            let fits: Bool
            if let short, let bound = schema.program.shortBounds[Int(operation.a)],
                let verdict = Self.fits(operation.code, short, bound)
            {
                fits = verdict
            } else {
                let value = exact ?? tape.number(element)
                exact = value
                fits = Self.fits(operation.code, value, schema.program.bounds[Int(operation.a)])
            }
            if !fits {
                let text = isExplaining ? reason(operation) : ""
                fail(node, operation, text)
                guard isExplaining else { return false }
                isValid = false
            }
        }
        return isValid
    }

    /// Nil when the numbers are too large to be brought to one scale.
    private static func fits(_ code: SchemaProgram.Code, _ value: ShortNumber, _ bound: ShortNumber) -> Bool? {
        guard let (value, bound) = ShortNumber.scaled(value, bound) else { return nil }
        switch code {
        case .minimum: return value >= bound
        case .maximum: return value <= bound
        case .exclusiveMinimum: return value > bound
        case .exclusiveMaximum: return value < bound
        case .multipleOf: return bound != 0 && value % bound == 0
        default: return true
        }
    }

    private static func fits(_ code: SchemaProgram.Code, _ value: ExactNumber, _ bound: ExactNumber) -> Bool {
        switch code {
        case .minimum: !(value < bound)
        case .maximum: !(bound < value)
        case .exclusiveMinimum: bound < value
        case .exclusiveMaximum: value < bound
        case .multipleOf: value.isMultiple(of: bound)
        default: true
        }
    }

    private func reason(_ operation: Operation) -> String {
        let bound = schema.program.boundTexts[Int(operation.a)]
        switch operation.code {
        case .minimum: return "must be \(bound) or more"
        case .maximum: return "must be \(bound) or less"
        case .exclusiveMinimum: return "must be more than \(bound)"
        case .exclusiveMaximum: return "must be less than \(bound)"
        default: return "must be a multiple of \(bound)"
        }
    }
}

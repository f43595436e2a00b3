/// Keywords for strings and numbers.
extension SchemaRun {
    func checkString(_ node: Node, _ element: JSONTape.Node) -> Bool {
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
                fits = matches(pattern, element) || fail(node, operation, "must match the pattern \(pattern.source)")
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

    private func codePointCount(_ element: JSONTape.Node) -> Int {
        spend(element.byteCount >> 6) ? tape.codePointCount(element) : 0
    }

    /// True when a pattern is found in a string.
    func matches(_ pattern: TextPattern, _ element: JSONTape.Node) -> Bool {
        guard spend(element.byteCount >> 6) else { return false }
        let outcome = tape.search(pattern, element, scratch)
        return outcome == .gaveUp ? give(up: .pattern) : outcome == .found
    }

    private func checkFormat(_ operation: Operation, _ node: Node, _ element: JSONTape.Node) -> Bool {
        guard let check = FormatCheck(rawValue: UInt8(truncatingIfNeeded: operation.a)) else { return true }
        guard spend(1 + element.byteCount >> 3) else { return false }
        return tape.fits(check, element) || fail(node, operation, "must have the format \(check)")
    }

    func checkNumber(_ node: Node, _ element: JSONTape.Node) -> Bool {
        guard spend(element.byteCount >> 5) else { return false }
        let small = tape.smallInteger(element)
        var exact: ExactNumber?
        var isValid = true
        for place in node.number.start..<node.number.end {
            let operation = operations[Int(place)]
            let fits: Bool
            if let small, let bound = schema.program.smallBounds[Int(operation.a)] {
                fits = Self.fits(operation.code, small, bound)
            } else {
                let value = exact ?? tape.number(element)
                exact = value
                fits = Self.fits(operation.code, value, schema.program.bounds[Int(operation.a)])
            }
            if !fits {
                fail(node, operation, reason(operation))
                guard isExplaining else { return false }
                isValid = false
            }
        }
        return isValid
    }

    private static func fits(_ code: SchemaProgram.Code, _ value: Int, _ bound: Int) -> Bool {
        switch code {
        case .minimum: value >= bound
        case .maximum: value <= bound
        case .exclusiveMinimum: value > bound
        case .exclusiveMaximum: value < bound
        case .multipleOf: bound != 0 && value % bound == 0
        default: true
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

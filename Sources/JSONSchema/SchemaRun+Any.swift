/// Keywords for values of any type.
extension SchemaRun {
    mutating func checkAny(_ node: Node, _ value: Int32) -> Bool {
        var isValid = true
        for place in node.any.start..<node.any.end {
            let operation = operations[Int(place)]
            if !checkAny(operation, node, value) {
                guard isExplaining else { return false }
                isValid = false
            }
        }
        return isValid
    }

    private mutating func checkAny(_ operation: Operation, _ node: Node, _ value: Int32) -> Bool {
        switch operation.code {
        case .constant, .enumeration:
            let literals = schema.program.literals[Int(operation.a)]
            return isAny(of: literals, value) || fail(node, operation, "must be \(literals.summary)")
        case .reference: return check(operation.a, value)
        case .dynamicReference: return check(dynamicTarget(operation), value)
        case .allOf: return checkAll(operation, value)
        case .anyOf: return checkAnyOf(operation, node, value)
        case .oneOf: return checkOneOf(operation, node, value)
        case .not: return !asksUnmarked(operation.a, value) || fail(node, operation, "must not fit the schema")
        case .ifThenElse:
            let branch = branching(operation.a, value) ? operation.b : operation.c
            return branch < 0 || check(branch, value)
        default: return true
        }
    }

    private mutating func checkAll(_ operation: Operation, _ value: Int32) -> Bool {
        var isValid = true
        for place in operation.a..<operation.b where !check(nodeLists[Int(place)], value) {
            guard isExplaining else { return false }
            isValid = false
        }
        return isValid
    }

    private mutating func checkAnyOf(_ operation: Operation, _ node: Node, _ value: Int32) -> Bool {
        var isValid = false
        for place in operation.a..<operation.b where branching(nodeLists[Int(place)], value) {
            isValid = true
            // Somebody who asks what was evaluated must hear of every branch that fits.
            if !isMarking { return true }
        }
        return isValid
            || fail(node, operation, "must fit one of \(operation.b - operation.a) schemas at least, and fits none")
    }

    private mutating func checkOneOf(_ operation: Operation, _ node: Node, _ value: Int32) -> Bool {
        var count = 0
        for place in operation.a..<operation.b where branching(nodeLists[Int(place)], value) {
            count += 1
            if count > 1 && !isExplaining { return false }
        }
        return count == 1
            || fail(node, operation, "must fit exactly one of \(operation.b - operation.a) schemas, and fits \(count)")
    }

    /// Asks whether a value fits; what the branch evaluated counts only when it does.
    private mutating func branching(_ number: Int32, _ value: Int32) -> Bool {
        guard isMarking, !programNodes[Int(number)].marksNothing else { return asksUnmarked(number, value) }
        marks.append(EvaluationMarks())
        let isValid = asks(number, value)
        let inner = marks.removeLast()
        if isValid { addMarks(inner) }
        return isValid
    }

    private mutating func asksUnmarked(_ number: Int32, _ value: Int32) -> Bool {
        let wasMarking = isMarking
        isMarking = false
        defer { isMarking = wasMarking }
        return asks(number, value)
    }

    private mutating func isAny(of literals: Literals, _ value: Int32) -> Bool {
        let element = tape.nodes[Int(value)]
        switch element.kind {
        case .null: return literals.hasNull
        case .bool: return element.flag ? literals.hasTrue : literals.hasFalse
        case .string: return spend(element.byteCount >> 6) && tape.place(of: element, in: literals.texts) >= 0
        case .number: return spend(element.byteCount >> 5) && literals.contains(number: element, of: tape)
        case .array, .object:
            return literals.containers.contains { literal in
                spend(1 + element.byteCount >> 4) && TapeComparison(tape, literal: literal).isEqual(value, 0)
            }
        }
    }
}

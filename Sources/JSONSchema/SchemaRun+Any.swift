/// Keywords for values of any type.
extension SchemaRun {
    func checkAny(_ node: Node, _ value: Int32) -> Bool {
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

    private func checkAny(_ operation: Operation, _ node: Node, _ value: Int32) -> Bool {
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

    private func checkAll(_ operation: Operation, _ value: Int32) -> Bool {
        var isValid = true
        for place in operation.a..<operation.b where !check(nodeLists[Int(place)], value) {
            guard isExplaining else { return false }
            isValid = false
        }
        return isValid
    }

    private func checkAnyOf(_ operation: Operation, _ node: Node, _ value: Int32) -> Bool {
        var isValid = false
        for place in operation.a..<operation.b where branching(nodeLists[Int(place)], value) {
            isValid = true
            // Somebody who asks what was evaluated must hear of every branch that fits.
            if !isMarking { return true }
        }
        return isValid
            || fail(node, operation, "must fit one of \(operation.b - operation.a) schemas at least, and fits none")
    }

    private func checkOneOf(_ operation: Operation, _ node: Node, _ value: Int32) -> Bool {
        var count = 0
        for place in operation.a..<operation.b where branching(nodeLists[Int(place)], value) {
            count += 1
            if count > 1 && !isExplaining { return false }
        }
        return count == 1
            || fail(node, operation, "must fit exactly one of \(operation.b - operation.a) schemas, and fits \(count)")
    }

    /// Asks whether a value fits; what the branch evaluated counts only when it does.
    private func branching(_ number: Int32, _ value: Int32) -> Bool {
        guard isMarking, !programNodes[Int(number)].marksNothing else { return asksUnmarked(number, value) }
        marks.append(EvaluationMarks())
        let isValid = asks(number, value)
        let inner = marks.removeLast()
        if isValid { addMarks(inner) }
        return isValid
    }

    private func asksUnmarked(_ number: Int32, _ value: Int32) -> Bool {
        let wasMarking = isMarking
        isMarking = false
        defer { isMarking = wasMarking }
        return asks(number, value)
    }

    private func isAny(of literals: Literals, _ value: Int32) -> Bool {
        let element = nodes[Int(value)]
        if let texts = literals.texts {
            return element.kind == .string && spend(element.byteCount >> 6) && tape.place(of: element, in: texts) >= 0
        }
        return literals.values.contains { literal in
            spend(1 + (element.byteCount >> 4)) && TapeComparison(tape, literal).isEqual(value, 0)
        }
    }
}

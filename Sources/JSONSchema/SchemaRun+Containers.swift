internal import ByteKit

/// Keywords for objects and arrays.
extension SchemaRun {
    mutating func checkObject(_ node: Node, _ value: Int32, _ element: JSONTape.Node) -> Bool {
        var isValid = true
        for place in node.object.start..<node.object.end {
            let operation = operations[Int(place)]
            let fits: Bool
            switch operation.code {
            case .members: fits = checkMembers(objectRules[Int(operation.a)], node, element, value)
            case .minProperties:
                fits =
                    element.count >= operation.a
                    || fail(node, operation, "must have \(operation.a) members at least")
            case .maxProperties:
                fits =
                    element.count <= operation.a
                    || fail(node, operation, "must have \(operation.a) members at most")
            case .dependentRequired: fits = checkDependencies(operation, node, value)
            case .dependentSchemas: fits = checkDependentSchemas(operation, value)
            default: fits = true
            }
            if !fits {
                guard isExplaining else { return false }
                isValid = false
            }
        }
        return isValid
    }

    /// One pass over the members: their schemas, those of patterns and of the rest, names, and what is required.
    private mutating func checkMembers(
        _ rules: ObjectRules, _ node: Node, _ element: JSONTape.Node, _ value: Int32
    ) -> Bool {
        guard spend(Int(element.count) >> 2) else { return false }
        var isValid = true
        var found = RequiredSet(count: rules.requiredCount)
        var name = value + 1
        var slot = -1
        while name < element.next {
            let key = tape.nodes[Int(name)]
            slot = rules.hasNames ? tape.place(of: key, in: rules.names, guess: slot + 1) : -1
            if slot >= 0 { found.insert(rules.slots[slot].required) }
            isValid = checkMember(slot, rules, node, name, key) && isValid
            if !isValid && !isExplaining { return false }
            name = tape.nodes[Int(name + 1)].next
        }
        if found.isComplete { return isValid }
        guard isExplaining else { return false }
        for (place, slot) in rules.slots.enumerated() where slot.required >= 0 && !found.contains(slot.required) {
            fail(node, "required", "must have the member \"\(rules.names.name(place))\"")
        }
        return false
    }

    /// Checks one member by all that is said about its name.
    private mutating func checkMember(
        _ slot: Int, _ rules: ObjectRules, _ node: Node, _ name: Int32, _ key: JSONTape.Node
    ) -> Bool {
        let member = name + 1
        var isValid = true
        var isKnown = false
        if slot >= 0, rules.slots[slot].node >= 0 {
            isKnown = true
            isValid = checkMember(rules.slots[slot].node, member, named: key)
        }
        if rules.hasPatterns, isValid || isExplaining {
            for entry in rules.patterns where matches(entry.pattern, key) {
                isKnown = true
                isValid = checkMember(entry.node, member, named: key) && isValid
            }
        }
        if !isKnown, rules.additional >= 0 {
            isKnown = true
            isValid = checkAdditional(rules.additional, node, member, key) && isValid
        }
        if rules.nameNode >= 0 { isValid = checkMember(rules.nameNode, name, named: key) && isValid }
        if isKnown && isMarking { marks[marks.count - 1].names.append(name) }
        return isValid
    }

    private mutating func checkAdditional(_ number: Int32, _ node: Node, _ member: Int32, _ key: JSONTape.Node) -> Bool
    {
        guard isExplaining, programNodes[Int(number)].allowsNothing else {
            return checkMember(number, member, named: key)
        }
        let outside = enter(key)
        defer { leave(to: outside) }
        return fail(node, "additionalProperties", "must not be there: the schema knows no such member")
    }

    private mutating func hasMember(_ name: [UInt8], _ value: Int32) -> Bool {
        let end = tape.nodes[Int(value)].next
        guard spend(Int(tape.nodes[Int(value)].count) >> 2) else { return false }
        var place = value + 1
        while place < end {
            let key = tape.nodes[Int(place)]
            if key.flag || key.byteCount == name.count, tape.equals(key, name.rawBytes) { return true }
            place = tape.nodes[Int(place + 1)].next
        }
        return false
    }

    private mutating func checkDependencies(_ operation: Operation, _ node: Node, _ value: Int32) -> Bool {
        var isValid = true
        let entries = schema.program.dependencies[Int(operation.a)]
        guard spend(entries.count) else { return false }
        for entry in entries where hasMember(entry.name, value) {
            guard spend(entry.required.count) else { return false }
            for name in entry.required where !hasMember(name, value) {
                guard isExplaining else { return false }
                isValid = fail(
                    node, operation,
                    "must have the member \"\(String(decoding: name, as: UTF8.self))\" beside "
                        + "\"\(String(decoding: entry.name, as: UTF8.self))\"")
            }
        }
        return isValid
    }

    private mutating func checkDependentSchemas(_ operation: Operation, _ value: Int32) -> Bool {
        var isValid = true
        let entries = schema.program.dependencies[Int(operation.a)]
        guard spend(entries.count) else { return false }
        for entry in entries where hasMember(entry.name, value) {
            if !check(entry.node, value) {
                guard isExplaining else { return false }
                isValid = false
            }
        }
        return isValid
    }
}

// MARK: - Arrays

extension SchemaRun {
    mutating func checkArray(_ node: Node, _ value: Int32, _ element: JSONTape.Node) -> Bool {
        var isValid = true
        for place in node.array.start..<node.array.end {
            let operation = operations[Int(place)]
            let fits: Bool
            switch operation.code {
            case .minItems:
                fits =
                    element.count >= operation.a
                    || fail(node, operation, "must have \(operation.a) elements at least")
            case .maxItems:
                fits =
                    element.count <= operation.a
                    || fail(node, operation, "must have \(operation.a) elements at most")
            case .uniqueItems:
                fits = hasUniqueItems(value, element) || fail(node, operation, "must not have an element twice")
            case .items: fits = checkItems(operation, value, element)
            case .contains: fits = checkContains(operation, node, value, element)
            default: fits = true
            }
            if !fits {
                guard isExplaining else { return false }
                isValid = false
            }
        }
        return isValid
    }

    private mutating func checkItems(_ operation: Operation, _ value: Int32, _ element: JSONTape.Node) -> Bool {
        var isValid = true
        var (place, index) = (value + 1, 0)
        let prefixCount = Int(operation.b - operation.a)
        while place < element.next {
            let number = index < prefixCount ? nodeLists[Int(operation.a) + index] : operation.c
            if number < 0 { break }
            if !checkElement(number, place, at: index) {
                guard isExplaining else { return false }
                isValid = false
            }
            place = tape.nodes[Int(place)].next
            index += 1
        }
        if isMarking { marks[marks.count - 1].firstItems = max(marks[marks.count - 1].firstItems, index) }
        return isValid
    }

    private mutating func checkContains(
        _ operation: Operation, _ node: Node, _ value: Int32, _ element: JSONTape.Node
    ) -> Bool {
        var (place, index, count): (Int32, Int, Int32) = (value + 1, 0, 0)
        let wasMarking = isMarking
        isMarking = false
        var fitting: [Int] = []
        while place < element.next {
            if asks(operation.a, place) {
                count += 1
                if wasMarking { fitting.append(index) }
            }
            place = tape.nodes[Int(place)].next
            index += 1
        }
        isMarking = wasMarking
        if isMarking { marks[marks.count - 1].items += fitting }
        if count < operation.b { return fail(node, operation, "must contain \(operation.b) fitting elements at least") }
        if operation.c >= 0 && count > operation.c {
            return fail(node, operation, "must contain \(operation.c) fitting elements at most")
        }
        return true
    }

    private mutating func hasUniqueItems(_ value: Int32, _ element: JSONTape.Node) -> Bool {
        guard element.count > 1 else { return true }
        guard spend(Int(element.next - value) + element.byteCount >> 4) else { return false }
        return TapeComparison(tape, tape).areElementsUnique(value)
    }
}

/// What of a value some keyword looked at, for `unevaluatedItems` and `unevaluatedProperties`.
struct EvaluationMarks {
    /// Elements before this one.
    var firstItems = 0
    /// Single elements, by index.
    var items: [Int] = []
    var hasAllItems = false
    /// Names of members, by index into the tape.
    var names: [Int32] = []
    var hasAllNames = false

    /// Adds what another keyword looked at.
    mutating func add(_ other: EvaluationMarks) {
        firstItems = max(firstItems, other.firstItems)
        items += other.items
        hasAllItems = hasAllItems || other.hasAllItems
        names += other.names
        hasAllNames = hasAllNames || other.hasAllNames
    }
}

extension SchemaRun {
    /// Runs a node that asks what its other keywords evaluated.
    mutating func checkAndMark(_ node: Node, _ value: Int32, _ element: JSONTape.Node) -> Bool {
        let wasMarking = isMarking
        isMarking = true
        marks.append(EvaluationMarks())
        var isValid = run(node, value, element)
        if isValid || isExplaining {
            for place in node.last.start..<node.last.end {
                let operation = operations[Int(place)]
                isValid = checkRest(operation, node, value, element) && isValid
            }
        }
        let mine = marks.removeLast()
        isMarking = wasMarking
        if isMarking { addMarks(mine) }
        return isValid
    }

    /// Adds what was looked at inside to what is asked for around it.
    mutating func addMarks(_ inner: EvaluationMarks) {
        _ = spend((inner.names.count + inner.items.count) >> 2)
        marks[marks.count - 1].add(inner)
    }

    private mutating func checkRest(
        _ operation: Operation, _ node: Node, _ value: Int32, _ element: JSONTape.Node
    ) -> Bool {
        switch (operation.code, element.kind) {
        case (.unevaluatedProperties, .object): checkRestOfMembers(operation, node, value, element)
        case (.unevaluatedItems, .array): checkRestOfItems(operation, node, value, element)
        default: true
        }
    }

    private mutating func checkRestOfMembers(
        _ operation: Operation, _ node: Node, _ value: Int32, _ element: JSONTape.Node
    ) -> Bool {
        let known = marks[marks.count - 1]
        if known.hasAllNames { return true }
        guard spend(known.names.count) else { return false }
        let names = Set(known.names)
        var (isValid, name) = (true, value + 1)
        while name < element.next {
            let (member, key) = (name + 1, tape.nodes[Int(name)])
            if !names.contains(name) {
                let fits: Bool
                if isForbidden(operation) {
                    let outside = enter(key)
                    fits = failUnknown(node, operation)
                    leave(to: outside)
                } else {
                    fits = checkMember(operation.a, member, named: key)
                }
                isValid = fits && isValid
                if !isValid && !isExplaining { return false }
            }
            name = tape.nodes[Int(member)].next
        }
        marks[marks.count - 1].hasAllNames = true
        return isValid
    }

    private mutating func checkRestOfItems(
        _ operation: Operation, _ node: Node, _ value: Int32, _ element: JSONTape.Node
    ) -> Bool {
        let known = marks[marks.count - 1]
        if known.hasAllItems { return true }
        guard spend(known.items.count) else { return false }
        let single = Set(known.items)
        var (isValid, place, index) = (true, value + 1, 0)
        while place < element.next {
            if index >= known.firstItems && !single.contains(index) {
                let fits: Bool
                if isForbidden(operation) {
                    let outside = enter(index)
                    fits = failUnknown(node, operation)
                    leave(to: outside)
                } else {
                    fits = checkElement(operation.a, place, at: index)
                }
                isValid = fits && isValid
                if !isValid && !isExplaining { return false }
            }
            place = tape.nodes[Int(place)].next
            index += 1
        }
        marks[marks.count - 1].hasAllItems = true
        return isValid
    }

    /// True while explaining when nothing may be left over: the keyword itself is then the best place to name.
    private func isForbidden(_ operation: Operation) -> Bool {
        isExplaining && programNodes[Int(operation.a)].allowsNothing
    }

    private mutating func failUnknown(_ node: Node, _ operation: Operation) -> Bool {
        fail(node, operation, "must not be there: no other keyword knows it")
    }
}

/// Shortens the ways of a program once it is complete.
extension SchemaProgram {
    /// Lets everything that leads to a node which is a reference and nothing else lead to that one's target, and notes
    /// which nodes ask for types alone.
    ///
    /// With dynamic references nothing is shortened: there it matters which resources a check has come through.
    mutating func passReferences() {
        for number in nodes.indices {
            let node = nodes[number]
            nodes[number].isTypeAlone = [node.any, node.object, node.array, node.string, node.number, node.last]
                .allSatisfy(\.isEmpty)
        }
        if hasDynamicReferences { return }
        let targets = self.targets
        func renamed(_ number: Int32) -> Int32 { number < 0 ? number : targets[Int(number)] }
        root = renamed(root)
        nodeLists = nodeLists.map(renamed)
        objectRules = objectRules.map { ObjectRules($0, renamed) }
        for list in dependencies.indices {
            for place in dependencies[list].indices {
                dependencies[list][place].node = renamed(dependencies[list][place].node)
            }
        }
        for place in operations.indices {
            let operation = operations[place]
            switch operation.code {
            case .items: operations[place].c = renamed(operation.c)
            case .contains, .not, .reference, .unevaluatedItems, .unevaluatedProperties:
                operations[place].a = renamed(operation.a)
            case .ifThenElse:
                operations[place].a = renamed(operation.a)
                operations[place].b = renamed(operation.b)
                operations[place].c = renamed(operation.c)
            default: break
            }
        }
    }

    /// For each node the first one on its way that is more than a reference. No way is endless: the compiler has seen
    /// to that.
    private var targets: [Int32] {
        var targets = [Int32](repeating: -1, count: nodes.count)
        for start in nodes.indices {
            var (number, way): (Int, [Int]) = (start, [])
            while targets[number] < 0, let next = onlyReference(nodes[number]) {
                way.append(number)
                number = Int(next)
            }
            let end = targets[number] < 0 ? Int32(number) : targets[number]
            targets[number] = end
            for passed in way { targets[passed] = end }
        }
        return targets
    }

    private func onlyReference(_ node: Node) -> Int32? {
        guard node.types == Node.allTypes, node.any.end == node.any.start + 1,
            [node.object, node.array, node.string, node.number, node.last].allSatisfy(\.isEmpty)
        else { return nil }
        let operation = operations[Int(node.any.start)]
        return operation.code == .reference ? operation.a : nil
    }
}

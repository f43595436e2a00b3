internal import ByteKit

/// Divides a schema for objects with known members into what is said of each member and what is left.
struct SchemaSplit {
    /// The schema's program, with a node behind it for each part of what is left.
    private(set) var program: SchemaProgram
    /// For each name: the nodes that the member's value has to fit.
    private(set) var nodes: [[Int32]]
    private(set) var isRequired: [Bool]
    private(set) var contradictions: [ValidationFailure] = []
    /// Nodes that the whole object has to fit.
    private(set) var rest: [Int32] = []

    private let schema: CompiledSchema
    private let names: [[UInt8]]
    private let known: Set<[UInt8]>
    private var open: [Int32]
    private var seen: Set<Int32> = []

    init(_ schema: CompiledSchema, names: [[UInt8]]) {
        self.schema = schema
        self.names = names
        known = Set(names)
        program = schema.program
        nodes = Array(repeating: [], count: names.count)
        isRequired = Array(repeating: false, count: names.count)
        open = [program.root]
    }

    /// Divides.
    mutating func run() {
        while let number = open.popLast() { if seen.insert(number).inserted { take(number) } }
        for (name, list) in zip(names, nodes) {
            for number in list where schema.program.nodes[Int(number)].allowsNothing {
                var path = JSONPointer()
                path.append(name: name)
                contradictions.append(
                    ValidationFailure(
                        instancePath: path.text, schemaPath: location(number), reason: "must not be there"))
            }
        }
    }

    private func location(_ number: Int32) -> String { program.locations[Int(program.nodes[Int(number)].location)] }

    /// Divides a node that the object has to fit in any case.
    private mutating func take(_ number: Int32) {
        let node = program.nodes[Int(number)]
        let allowsObjects = node.types & (1 << JSONTape.Kind.object.rawValue) != 0
        // What a dynamic reference leads to, and what was not evaluated, is only known in a run of the whole.
        guard allowsObjects, node.last.isEmpty, !program.hasDynamicReferences else {
            rest.append(number)
            return
        }
        var (any, object): ([SchemaProgram.Operation], [SchemaProgram.Operation]) = ([], [])
        for place in node.any.start..<node.any.end {
            let operation = program.operations[Int(place)]
            switch operation.code {
            case .reference: open.append(operation.a)
            case .allOf: open += program.nodeLists[Int(operation.a)..<Int(operation.b)]
            default: any.append(operation)
            }
        }
        for place in node.object.start..<node.object.end {
            let operation = program.operations[Int(place)]
            let isDivided = operation.code == .members && take(program.objectRules[Int(operation.a)], number)
            if !isDivided { object.append(operation) }
        }
        if any.isEmpty && object.isEmpty { return }
        var left = SchemaProgram.Node()
        (left.resource, left.location, left.marksNothing) = (node.resource, node.location, node.marksNothing)
        left.any = program.append(any)
        left.object = program.append(object)
        program.nodes.append(left)
        rest.append(Int32(program.nodes.count - 1))
    }

    /// Divides what is said about members; false when that cannot be done.
    private mutating func take(_ rules: ObjectRules, _ number: Int32) -> Bool {
        var found: [[Int32]] = []
        for name in names {
            guard let list = members(rules, name) else { return false }
            found.append(list)
        }
        for (place, list) in found.enumerated() { nodes[place] += list }
        for (place, slot) in rules.slots.enumerated()
        where slot.required >= 0 && !known.contains(rules.names.bytes(place)) {
            contradictions.append(
                ValidationFailure(
                    instancePath: "", schemaPath: location(number) + "/required",
                    reason: "must have the member \"\(rules.names.name(place))\""))
        }
        for (place, name) in names.enumerated() {
            let slot = rules.names.place(of: name.rawBytes)
            if slot >= 0, rules.slots[slot].required >= 0 { isRequired[place] = true }
        }
        return true
    }

    /// What a member's value has to fit; nil when its name is not allowed or a pattern gives no answer.
    private func members(_ rules: ObjectRules, _ name: [UInt8]) -> [Int32]? {
        var list: [Int32] = []
        let slot = rules.names.place(of: name.rawBytes)
        if slot >= 0, rules.slots[slot].node >= 0 { list.append(rules.slots[slot].node) }
        let scratch = TextPattern.Scratch()
        for entry in rules.patterns {
            switch entry.pattern.search(name.rawBytes, scratch) {
            case .found: list.append(entry.node)
            case .notFound: break
            case .gaveUp: return nil
            }
        }
        if list.isEmpty, rules.additional >= 0 { list.append(rules.additional) }
        guard rules.nameNode >= 0 else { return list }
        var run = SchemaRun(schema)
        guard run.tape.append(.string, name.rawBytes) else { return nil }
        run.begin()
        return run.check(rules.nameNode, 0) ? list : nil
    }
}

// MARK: - What is left

extension SchemaSplit {
    /// For each name: whether what is left looks at the member.
    var columnsOfRest: [Bool] {
        var looks = Array(repeating: false, count: names.count)
        var (open, seen) = (rest, Set(rest))
        while let number = open.popLast() {
            guard let used = namesUsed(by: program.nodes[Int(number)]) else {
                return Array(repeating: true, count: names.count)
            }
            for (place, name) in names.enumerated() where used.contains(name) { looks[place] = true }
            for next in program.neighbours(of: Int(number)) where seen.insert(next).inserted { open.append(next) }
        }
        return looks
    }

    /// The members that a node looks at by itself; nil when it is all of them.
    private func namesUsed(by node: SchemaProgram.Node) -> Set<[UInt8]>? {
        guard node.last.isEmpty, !program.hasDynamicReferences else { return nil }
        var used: Set<[UInt8]> = []
        for run in [node.any, node.object] {
            for place in run.start..<run.end {
                let operation = program.operations[Int(place)]
                switch operation.code {
                case .members:
                    let rules = program.objectRules[Int(operation.a)]
                    guard rules.patterns.isEmpty, rules.additional < 0, rules.nameNode < 0 else { return nil }
                    for slot in rules.slots.indices { used.insert(rules.names.bytes(slot)) }
                case .dependentRequired, .dependentSchemas:
                    for entry in program.dependencies[Int(operation.a)] {
                        used.formUnion([entry.name] + entry.required)
                    }
                case .minProperties, .maxProperties: return nil
                case .constant, .enumeration:
                    if !program.literals[Int(operation.a)].containers.isEmpty { return nil }
                default: break
                }
            }
        }
        return used
    }
}

internal import JSONText

/// Turns schema documents into a ``SchemaProgram``: every reference is followed, every pattern compiled, every number
/// read, once.
struct SchemaCompiler {
    var index: SchemaIndex
    var program = SchemaProgram()
    let assertsFormats: Bool
    private var nodeOfPlace: [SchemaPlace: Int32] = [:]
    /// The place of each node.
    private var places: [SchemaPlace] = []
    private var waiting: [(place: SchemaPlace, node: Int32)] = []
    private var keywordNumbers: [String: Int32] = [:]
    private var dynamicAnchorNumbers: [[UInt8]: Int32] = [:]
    private var patternNumbers: [[UInt8]: Int32] = [:]
    private var patternBytes = 0
    /// What all automata together may still cost.
    private var automatonWork = 2_000_000

    /// More subschemas than this are refused.
    static let nodesMax = 200_000
    /// All compiled patterns together may take this much memory.
    private static let patternBytesMax = 64 << 20

    init(_ library: SchemaLibrary, assertsFormats: Bool) {
        index = SchemaIndex(library)
        self.assertsFormats = assertsFormats
    }

    /// Compiles a document; `dialect` holds where it names none.
    mutating func compile(_ document: JSONValue, uri: String, _ dialect: Dialect) throws(SchemaProblem) {
        let root = try index.add(document, uri: uri, dialect)
        program.root = try node(at: root)
        // Also what nothing leads to: a mistake there is a mistake.
        for place in index.rootPlaces { _ = try node(at: place) }
        try fillWaiting()
        try resolveDynamicAnchors()
        try checkForLoops()
        program.passReferences()
        markEvaluation()
    }

    /// The node of a place; it is filled later.
    mutating func node(at place: SchemaPlace) throws(SchemaProblem) -> Int32 {
        if let known = nodeOfPlace[place] { return known }
        guard let entry = index.entry(at: place) else {
            throw SchemaProblem(index.location(of: place), "a schema is an object, true or false")
        }
        guard program.nodes.count < Self.nodesMax else {
            throw SchemaProblem(index.location(of: place), "the schema has more than \(Self.nodesMax) parts")
        }
        let number = Int32(program.nodes.count)
        var node = SchemaProgram.Node()
        node.location = number
        node.resource = Int32(entry.resource)
        program.locations.append(place.document == 0 ? place.pointer.text : index.location(of: place))
        program.nodes.append(node)
        places.append(place)
        nodeOfPlace[place] = number
        waiting.append((place, number))
        return number
    }

    /// The number of a keyword's name.
    mutating func keyword(_ name: String) -> Int32 {
        if let known = keywordNumbers[name] { return known }
        program.keywords.append(name)
        keywordNumbers[name] = Int32(program.keywords.count - 1)
        return Int32(program.keywords.count - 1)
    }

    /// The number of a dynamic anchor.
    mutating func dynamicAnchor(_ name: [UInt8]) -> Int32 {
        if let known = dynamicAnchorNumbers[name] { return known }
        program.dynamicAnchors.append([:])
        dynamicAnchorNumbers[name] = Int32(program.dynamicAnchors.count - 1)
        return Int32(program.dynamicAnchors.count - 1)
    }

    /// The number of a pattern, compiled at its first use.
    mutating func pattern(_ source: String) throws(PatternProblem) -> Int32 {
        let key = Array(source.utf8)
        if let known = patternNumbers[key] { return known }
        let pattern = try TextPattern(source, work: &automatonWork)
        patternBytes += pattern.byteCount
        guard patternBytes <= Self.patternBytesMax else {
            throw PatternProblem(message: "all patterns together take more than \(Self.patternBytesMax >> 20) MiB")
        }
        program.patterns.append(pattern)
        patternNumbers[key] = Int32(program.patterns.count - 1)
        return Int32(program.patterns.count - 1)
    }

    private mutating func fillWaiting() throws(SchemaProblem) {
        while let next = waiting.popLast() {
            guard let entry = index.entry(at: next.place) else { continue }
            if let verdict = entry.schema.bool {
                if !verdict { program.nodes[Int(next.node)].types = 0 }
            } else if let object = entry.schema.object {
                let dialect = index.resources[entry.resource].dialect
                var reader = KeywordReader(
                    object: object, place: next.place, resource: entry.resource, dialect: dialect)
                try reader.read(&self)
                reader.store(in: &program, Int(next.node))
            }
        }
    }

    /// Every resource that has a dynamic anchor of a name, also those that nothing else leads to.
    private mutating func resolveDynamicAnchors() throws(SchemaProblem) {
        var done: [[UInt8]: Int] = [:]
        var changed = true
        while changed {
            changed = false
            for (name, number) in dynamicAnchorNumbers {
                let resources = index.resourcesOfDynamicAnchor[name] ?? []
                for resource in resources[(done[name] ?? 0)...] {
                    guard let place = index.resources[resource].dynamicAnchors[name] else { continue }
                    changed = true
                    program.dynamicAnchors[Int(number)][Int32(resource)] = try node(at: place)
                }
                done[name] = resources.count
            }
            try fillWaiting()
        }
    }
}

// MARK: - Checks over the whole program

extension SchemaCompiler {
    /// A schema that applies itself to the same value again would never end. What a dynamic reference leads to at last
    /// is only known in a run, which has a limit of its own.
    private func checkForLoops() throws(SchemaProblem) {
        enum State { case new, open, done }
        var state = [State](repeating: .new, count: program.nodes.count)
        for start in program.nodes.indices where state[start] == .new {
            var stack: [(node: Int, open: [Int32])] = [(start, program.neighbours(of: start))]
            state[start] = .open
            while let top = stack.last {
                guard let next = top.open.last else {
                    state[top.node] = .done
                    stack.removeLast()
                    continue
                }
                stack[stack.count - 1].open.removeLast()
                switch state[Int(next)] {
                case .open:
                    throw SchemaProblem(
                        index.location(of: places[top.node]),
                        "the schema refers to itself for the same value, without end")
                case .new:
                    state[Int(next)] = .open
                    stack.append((Int(next), program.neighbours(of: Int(next))))
                case .done: break
                }
            }
        }
    }

    /// Notes which nodes say nothing about what was evaluated: most of them.
    private mutating func markEvaluation() {
        var users: [[Int32]] = Array(repeating: [], count: program.nodes.count)
        var open: [Int32] = []
        for number in program.nodes.indices {
            for other in program.neighbours(of: number) { users[Int(other)].append(Int32(number)) }
            if marksByItself(number) { open.append(Int32(number)) }
        }
        while let next = open.popLast() {
            guard program.nodes[Int(next)].marksNothing else { continue }
            program.nodes[Int(next)].marksNothing = false
            open += users[Int(next)]
        }
    }

    private func marksByItself(_ number: Int) -> Bool {
        let node = program.nodes[number]
        for run in [node.any, node.object, node.array, node.last] {
            for place in run.start..<run.end {
                switch program.operations[Int(place)].code {
                case .members, .items, .contains, .unevaluatedItems, .unevaluatedProperties, .dynamicReference:
                    return true
                default: break
                }
            }
        }
        return false
    }
}

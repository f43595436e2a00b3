/// One document on its way through a compiled schema, or many, one after the other.
///
/// Every check spends steps, by the work that it does, and looks at how deep it is; when a limit is passed, all checks
/// still open end at once.
struct SchemaRun {
    typealias Node = SchemaProgram.Node
    typealias Operation = SchemaProgram.Operation

    let schema: CompiledSchema
    // The lists that are read most, each a property of its own: that costs one load instead of two.
    let programNodes: [Node]
    let operations: [Operation]
    let nodeLists: [Int32]
    let objectRules: [ObjectRules]
    /// The document.
    var tape: JSONTape
    /// True to go on after a failure and write down where and why.
    private(set) var isExplaining = false
    private(set) var failures: [ValidationFailure] = []
    private(set) var limit: ValidationLimit?
    /// What was evaluated, innermost last; only used while somebody asks.
    var marks: [EvaluationMarks] = []
    var isMarking = false
    private var searchScratch: TextPattern.Scratch?
    private var hasSearched = false
    private let hasDynamicReferences: Bool
    private var failuresMax = 0
    /// Where the value that is looked at stands, kept while explaining.
    private var path = JSONPointer()
    private var stepsLeft = 0
    private var depth = 0
    /// Resources that were entered, outermost first; only used with dynamic references.
    private var scope: [Int32] = []

    /// Checks inside of each other. Their frames must fit on any thread's stack.
    static let depthMax = 600
    /// Names in paths of failures are cut behind this many bytes.
    private static let nameBytesMax = 256

    init(_ schema: CompiledSchema, _ tape: JSONTape = JSONTape()) {
        self.schema = schema
        self.tape = tape
        (programNodes, operations) = (schema.program.nodes, schema.program.operations)
        (nodeLists, objectRules) = (schema.program.nodeLists, schema.program.objectRules)
        hasDynamicReferences = schema.program.hasDynamicReferences
    }

    /// Begins with the document that is in ``tape`` now; `path` is where it stands. Explains up to `failuresMax`
    /// failures; with 0 it only asks whether there is one.
    mutating func begin(failuresMax: Int = 0, at path: JSONPointer = JSONPointer()) {
        self.failuresMax = failuresMax
        isExplaining = failuresMax > 0
        if !failures.isEmpty { failures = [] }
        limit = nil
        hasSearched = false
        stepsLeft = 1_000_000 + 50 * tape.nodes.count + tape.bytes.count
        if isExplaining { self.path = path }
    }

    /// Whether a value by itself fits nodes; nil when a limit was passed.
    mutating func accepts(_ form: JSONForm, _ text: RawSpan, _ nodes: [Int32]) -> Bool? {
        tape.removeAll()
        return tape.append(form, text) ? accepts(nodes) : false
    }

    /// Whether the document fits nodes; nil when a limit was passed.
    mutating func accepts(_ nodes: [Int32]) -> Bool? {
        begin()
        for node in nodes where !check(node, 0) { return limit == nil ? false : nil }
        return limit == nil ? true : nil
    }

    /// Gives back what other runs can use. Nothing may be checked any more.
    mutating func end() {
        if let searchScratch { schema.giveBack(searchScratch) }
        searchScratch = nil
    }

    /// Searches in a string of the document.
    mutating func search(_ pattern: TextPattern, _ element: JSONTape.Node) -> TextPattern.Outcome {
        if let automaton = pattern.automaton { return tape.search(automaton, element) ? .found : .notFound }
        let scratch = searchScratch ?? schema.takeScratch()
        if !hasSearched {
            searchScratch = scratch
            hasSearched = true
            scratch.begin(byteCount: tape.bytes.count)
        }
        return tape.search(pattern, element, scratch)
    }

    /// True when the value at index `value` of the tape fits node `number`.
    mutating func check(_ number: Int32, _ value: Int32) -> Bool {
        guard spend(1) else { return false }
        if programNodes[Int(number)].isTypeAlone {
            let element = tape.nodes[Int(value)]
            if hasType(programNodes[Int(number)], element) { return true }
            if isExplaining { failType(programNodes[Int(number)]) }
            return false
        }
        guard depth < Self.depthMax else { return give(up: .depth) }
        depth += 1
        defer { depth -= 1 }
        let node = programNodes[Int(number)]
        guard hasDynamicReferences, scope.last != node.resource else { return checkInScope(node, value) }
        scope.append(node.resource)
        defer { scope.removeLast() }
        return checkInScope(node, value)
    }

    private mutating func checkInScope(_ node: Node, _ value: Int32) -> Bool {
        let element = tape.nodes[Int(value)]
        var isValid = hasType(node, element)
        if !isValid {
            guard isExplaining else { return false }
            failType(node)
        }
        if !node.last.isEmpty { return checkAndMark(node, value, element) && isValid }
        isValid = run(node, value, element) && isValid
        return isValid
    }

    /// Runs everything but what needs to know what was evaluated.
    mutating func run(_ node: Node, _ value: Int32, _ element: JSONTape.Node) -> Bool {
        var isValid = true
        if !node.any.isEmpty {
            isValid = checkAny(node, value)
            if !isValid && !isExplaining { return false }
        }
        let isTypedValid: Bool
        switch element.kind {
        case .object: isTypedValid = node.object.isEmpty || checkObject(node, value, element)
        case .array: isTypedValid = node.array.isEmpty || checkArray(node, value, element)
        case .string: isTypedValid = node.string.isEmpty || checkString(node, element)
        case .number: isTypedValid = node.number.isEmpty || checkNumber(node, element)
        case .null, .bool: isTypedValid = true
        }
        return isTypedValid && isValid
    }

    /// Checks a value inside of the current one, which stands under a member's name.
    mutating func checkMember(_ number: Int32, _ value: Int32, named name: JSONTape.Node) -> Bool {
        let wasMarking = isMarking
        isMarking = false
        defer { isMarking = wasMarking }
        guard isExplaining else { return check(number, value) }
        let outside = enter(name)
        defer { leave(to: outside) }
        return check(number, value)
    }

    /// Checks a value inside of the current one, which stands at an index.
    mutating func checkElement(_ number: Int32, _ value: Int32, at index: Int) -> Bool {
        let wasMarking = isMarking
        isMarking = false
        defer { isMarking = wasMarking }
        guard isExplaining else { return check(number, value) }
        let outside = enter(index)
        defer { leave(to: outside) }
        return check(number, value)
    }

    /// Checks without writing failures down: for keywords that only ask.
    mutating func asks(_ number: Int32, _ value: Int32) -> Bool {
        let wasExplaining = isExplaining
        isExplaining = false
        defer { isExplaining = wasExplaining && limit == nil }
        return check(number, value)
    }

    /// The node that a dynamic reference leads to: that of the outermost resource that has the anchor.
    mutating func dynamicTarget(_ operation: Operation) -> Int32 {
        _ = spend(scope.count >> 3)
        let anchors = schema.program.dynamicAnchors[Int(operation.b)]
        for resource in scope { if let node = anchors[resource] { return node } }
        return operation.a
    }

    private mutating func hasType(_ node: Node, _ element: JSONTape.Node) -> Bool {
        guard node.types & (1 << element.kind.rawValue) != 0 else { return false }
        if node.types & Node.wholeNumbers == 0 || element.kind != .number || element.flag { return true }
        return spend(element.byteCount >> 5) && tape.number(element).isWhole
    }
}

// MARK: - Limits

extension SchemaRun {
    /// Spends steps for work that is about to be done; false when there are none left.
    @inline(__always)
    mutating func spend(_ steps: Int) -> Bool {
        stepsLeft &-= steps
        return stepsLeft >= 0 || give(up: .steps)
    }

    /// Ends everything; always false, so that checks can return it.
    mutating func give(up reason: ValidationLimit) -> Bool {
        limit = limit ?? reason
        stepsLeft = -1
        isExplaining = false
        return false
    }
}

// MARK: - Explaining

extension SchemaRun {
    /// Notes a failure; always false, so that checks can return it.
    @discardableResult
    mutating func fail(_ node: Node, _ operation: Operation, _ reason: @autoclosure () -> String) -> Bool {
        isExplaining ? fail(node, schema.program.keywords[Int(operation.keyword)], reason()) : false
    }

    /// Notes a failure of a keyword; always false.
    @discardableResult
    mutating func fail(_ node: Node, _ keyword: String, _ reason: @autoclosure () -> String) -> Bool {
        guard isExplaining else { return false }
        let place = schema.program.locations[Int(node.location)] + (keyword.isEmpty ? "" : "/" + keyword)
        failures.append(ValidationFailure(instancePath: path.text, schemaPath: place, reason: reason()))
        if failures.count >= failuresMax { isExplaining = false }
        return false
    }

    /// Goes one step further down, to a member; ``leave(to:)`` with what this returns goes back.
    mutating func enter(_ name: JSONTape.Node) -> Int {
        let count = path.bytes.count
        let characters = tape.characters(name)
        if characters.count <= Self.nameBytesMax {
            path.append(name: characters)
        } else {
            var cut = characters.prefix(Self.nameBytesMax)
            while let last = cut.popLast(), last & 0xC0 == 0x80 {}
            path.append(name: Array(cut) + Array("…".utf8))
        }
        return count
    }

    /// Goes one step further down, to an element.
    mutating func enter(_ index: Int) -> Int {
        let count = path.bytes.count
        path.append(name: String(index).utf8)
        return count
    }

    /// Goes back up.
    mutating func leave(to outside: Int) { path.cut(to: outside) }

    private mutating func failType(_ node: Node) {
        if node.allowsNothing {
            fail(node, "", "must not be there")
            return
        }
        var names: [String] = []
        let kinds: [(JSONTape.Kind, String)] = [
            (.null, "null"), (.bool, "boolean"), (.string, "string"), (.array, "array"), (.object, "object"),
        ]
        for (kind, name) in kinds where node.types & (1 << kind.rawValue) != 0 { names.append(name) }
        if node.types & (1 << JSONTape.Kind.number.rawValue) != 0 {
            names.append(node.types & Node.wholeNumbers != 0 ? "integer" : "number")
        }
        fail(node, "type", "must be " + names.joined(separator: " or "))
    }
}

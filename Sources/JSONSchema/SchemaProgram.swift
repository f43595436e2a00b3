import Synchronization

/// A compiled schema: flat lists of fixed-size operations, with everything they need in tables beside them.
struct SchemaProgram: Sendable {
    /// What a subschema asks of a value: which types may be, and runs of operations for each type.
    struct Node: Sendable {
        /// A bit for each `JSONTape.Kind`, and bit 7 for "a number must be whole". None at all is the schema `false`.
        var types: UInt8 = Node.allTypes
        var any = Run()
        var object = Run()
        var array = Run()
        var string = Run()
        var number = Run()
        /// Operations that need to know what the others evaluated.
        var last = Run()
        /// The resource that the subschema belongs to, for dynamic references.
        var resource: Int32 = 0
        /// Index into ``SchemaProgram/locations``.
        var location: Int32 = 0
        /// True when nothing inside can say what was evaluated, so that nobody needs to ask.
        var marksNothing = true

        static let allTypes: UInt8 = 0x3F
        static let wholeNumbers: UInt8 = 0x80

        /// True when the types are all that is asked for.
        var isTypeAlone = false

        /// True for the schema `false`.
        var allowsNothing: Bool { types & Node.allTypes == 0 }
    }

    /// A run of operations.
    struct Run: Sendable {
        var start: Int32 = 0
        var end: Int32 = 0
        var isEmpty: Bool { start == end }
    }

    enum Code: UInt8, Sendable {
        /// a: index of object rules.
        case members
        /// a: least, or most, number of members.
        case minProperties, maxProperties
        /// a: index of dependencies.
        case dependentRequired, dependentSchemas
        /// a: first of ``SchemaProgram/nodeLists``, b: behind the last, c: node for the rest or -1.
        case items
        /// a: node, b: least, c: most or -1.
        case contains
        case minItems, maxItems, uniqueItems
        case minLength, maxLength
        /// a: index of the pattern.
        case pattern
        /// a: `FormatCheck` by raw value.
        case format
        /// a: index of the bound.
        case minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf
        /// a: index of the literals.
        case constant, enumeration
        /// a, b: range of ``SchemaProgram/nodeLists``.
        case allOf, anyOf, oneOf
        /// a: node.
        case not
        /// a, b, c: nodes, -1 for none.
        case ifThenElse
        /// a: node.
        case reference
        /// a: the node it leads to at first, b: index of the dynamic anchor.
        case dynamicReference
        /// a: node.
        case unevaluatedItems, unevaluatedProperties
    }

    /// One operation.
    struct Operation: Sendable {
        var code: Code
        var a: Int32 = 0
        var b: Int32 = 0
        var c: Int32 = -1
        /// Index of the keyword's name in ``SchemaProgram/keywords``, for errors.
        var keyword: Int32 = 0
    }

    var nodes: [Node] = []
    var operations: [Operation] = []
    var nodeLists: [Int32] = []
    var objectRules: [ObjectRules] = []
    var dependencies: [[Dependency]] = []
    var patterns: [TextPattern] = []
    var bounds: [ExactNumber] = []
    /// The bounds that are short.
    var shortBounds: [ShortNumber?] = []
    /// The bounds as the schema has them.
    var boundTexts: [String] = []
    var literals: [Literals] = []
    /// For each dynamic anchor: the node of each resource that has it.
    var dynamicAnchors: [[Int32: Int32]] = []
    var keywords: [String] = []
    /// Where each node stands in the schema.
    var locations: [String] = []
    var root: Int32 = 0
    var hasDynamicReferences = false
}

extension SchemaProgram {
    /// Puts operations behind those that are there.
    mutating func append(_ list: [Operation]) -> Run {
        let start = Int32(operations.count)
        operations += list
        return Run(start: start, end: Int32(operations.count))
    }

    /// Nodes that see the same value as node `number`.
    func neighbours(of number: Int) -> [Int32] {
        let node = nodes[number]
        var found: [Int32] = []
        for run in [node.any, node.object] {
            for place in run.start..<run.end {
                let operation = operations[Int(place)]
                switch operation.code {
                case .allOf, .anyOf, .oneOf:
                    found += nodeLists[Int(operation.a)..<Int(operation.b)]
                case .not, .reference, .dynamicReference: found.append(operation.a)
                case .ifThenElse: found += [operation.a, operation.b, operation.c].filter { $0 >= 0 }
                case .dependentSchemas: found += dependencies[Int(operation.a)].map(\.node)
                default: break
                }
            }
        }
        return found
    }
}

/// A program that does not change any more, with what its runs use in turn.
final class CompiledSchema: Sendable {
    let program: SchemaProgram
    private let scratches = Mutex<[TextPattern.Scratch]>([])

    private static let scratchesMax = 16

    init(_ program: SchemaProgram) { self.program = program }

    /// What searches write to, for one run.
    func takeScratch() -> TextPattern.Scratch { scratches.withLock { $0.popLast() } ?? TextPattern.Scratch() }

    /// Keeps it for another run.
    func giveBack(_ scratch: TextPattern.Scratch) {
        scratches.withLock { if $0.count < Self.scratchesMax { $0.append(scratch) } }
    }
}

/// A member that asks for others.
struct Dependency: Sendable {
    var name: [UInt8]
    var required: [[UInt8]] = []
    var node: Int32 = -1
}

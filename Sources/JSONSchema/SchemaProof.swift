internal import ByteKit

/// Finds out whether a schema holds for all values of a column without looking at them.
///
/// It only ever errs to one side: what it calls proved is true.
struct SchemaProof {
    private let program: SchemaProgram
    private var run: SchemaRun
    /// Subschemas may be looked at so often for one column.
    private var stepsLeft = 100_000

    /// More texts than this are not tried out one by one.
    private static let textsMax = 10_000
    private static let depthMax = 200

    init(_ schema: CompiledSchema) {
        program = schema.program
        run = SchemaRun(schema)
    }

    /// True when every value that is possible fits the node.
    mutating func holds(_ number: Int32, _ values: ValueGuarantee) -> Bool {
        stepsLeft = 100_000
        let kinds = values.kinds
        if kinds.contains(.null), !accepts(number, .null) { return false }
        if kinds.contains(.bool), !accepts(number, .true) || !accepts(number, .false) { return false }
        if kinds.contains(.number), !holds(number, .number, values, depth: 0) { return false }
        if kinds.contains(.array), !holds(number, .array, values, depth: 0) { return false }
        if kinds.contains(.object), !holds(number, .object, values, depth: 0) { return false }
        guard kinds.contains(.string) else { return true }
        if let texts = values.texts, texts.count <= Self.textsMax {
            for text in texts where !accepts(number, .string, text) { return false }
            return true
        }
        return holds(number, .string, values, depth: 0)
    }

    private mutating func accepts(_ number: Int32, _ form: JSONForm, _ text: String = "") -> Bool {
        run.tape.removeAll()
        guard run.tape.append(form, Array(text.utf8).rawBytes) else { return false }
        run.begin()
        return run.check(number, 0) && run.limit == nil
    }

    private mutating func holds(
        _ number: Int32, _ kind: JSONTape.Kind, _ values: ValueGuarantee, depth: Int
    ) -> Bool {
        stepsLeft -= 1
        let node = program.nodes[Int(number)]
        guard stepsLeft > 0, depth < Self.depthMax, node.types & (1 << kind.rawValue) != 0 else { return false }
        if kind == .number, node.types & SchemaProgram.Node.wholeNumbers != 0, !values.areNumbersWhole { return false }
        for operation in operations(node.any) {
            guard holdsAny(operation, kind, values, depth: depth + 1) else { return false }
        }
        switch kind {
        case .null, .bool: return false
        case .array: return node.array.isEmpty && node.last.isEmpty
        case .object: return node.object.isEmpty && node.last.isEmpty
        case .string: return operations(node.string).allSatisfy { holdsForString($0, values) }
        case .number: return operations(node.number).allSatisfy { holdsForNumber($0, values) }
        }
    }

    private func operations(_ run: SchemaProgram.Run) -> ArraySlice<SchemaProgram.Operation> {
        program.operations[Int(run.start)..<Int(run.end)]
    }

    private mutating func holdsAny(
        _ operation: SchemaProgram.Operation, _ kind: JSONTape.Kind, _ values: ValueGuarantee, depth: Int
    ) -> Bool {
        switch operation.code {
        case .reference: return holds(operation.a, kind, values, depth: depth)
        case .allOf:
            for place in operation.a..<operation.b {
                guard holds(program.nodeLists[Int(place)], kind, values, depth: depth) else { return false }
            }
            return true
        case .anyOf:
            for place in operation.a..<operation.b {
                if holds(program.nodeLists[Int(place)], kind, values, depth: depth) { return true }
            }
            return false
        case .ifThenElse:
            for branch in [operation.b, operation.c] where branch >= 0 {
                guard holds(branch, kind, values, depth: depth) else { return false }
            }
            return true
        default: return false
        }
    }

    private func holdsForString(_ operation: SchemaProgram.Operation, _ values: ValueGuarantee) -> Bool {
        switch operation.code {
        case .minLength: values.lengthMin >= operation.a
        case .maxLength: values.lengthMax.map { $0 <= operation.a } ?? (operation.a == .max)
        case .format:
            FormatCheck(rawValue: UInt8(truncatingIfNeeded: operation.a)).map {
                values.formats.contains($0.description)
            } ?? true
        default: false
        }
    }

    private func holdsForNumber(_ operation: SchemaProgram.Operation, _ values: ValueGuarantee) -> Bool {
        let bound = program.bounds[Int(operation.a)]
        if operation.code == .multipleOf { return values.areNumbersWhole && ExactNumber(1).isMultiple(of: bound) }
        guard let range = values.numbers else { return false }
        switch operation.code {
        case .minimum: return !(ExactNumber(range.lowerBound) < bound)
        case .maximum: return !(bound < ExactNumber(range.upperBound))
        case .exclusiveMinimum: return bound < ExactNumber(range.lowerBound)
        case .exclusiveMaximum: return ExactNumber(range.upperBound) < bound
        default: return false
        }
    }
}

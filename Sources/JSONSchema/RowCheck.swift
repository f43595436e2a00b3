internal import ByteKit

/// Checks rows by a ``RowSchema``, column by column, from the bytes of values and without JSON text in between.
///
/// Nothing is allocated for a value once its memory has grown. One thread uses it at a time. Values and names are never
/// in a failure, but for the names of the schema and of the columns.
package final class RowCheck {
    /// What is checked.
    package let schema: RowSchema

    /// Runs over single values and, with its tape exchanged, over rows.
    private var run: SchemaRun
    /// The row that is being built. It begins with the bytes of all names.
    private var row = JSONTape()
    private let nameRanges: [Range<Int32>]
    /// For each column: the subschemas that a value has to fit.
    private let nodes: [[Int32]]
    private let namesEnd: Int
    private var memberCount: Int32 = 0
    private var isRowOpen = false

    /// A check with memory of its own.
    package init(_ schema: RowSchema) {
        self.schema = schema
        run = SchemaRun(schema.compiled)
        var ranges: [Range<Int32>] = []
        for column in schema.columns {
            let start = Int32(truncatingIfNeeded: row.bytes.count)
            row.bytes += Array(column.name.utf8)
            ranges.append(start..<Int32(truncatingIfNeeded: row.bytes.count))
        }
        (nameRanges, namesEnd) = (ranges, row.bytes.count)
        nodes = schema.columns.map(\.nodes)
    }

    deinit { run.end() }

    // MARK: Values

    /// True when a value of the column at an index fits all that is said of the column. False for bytes that are not
    /// what `form` says. Throws when deciding would take too long.
    package func accepts(column: Int, _ form: JSONForm, _ text: RawSpan) throws(ValidationLimit) -> Bool {
        guard let verdict = run.accepts(form, text, nodes[column]) else { throw run.limit ?? .steps }
        return verdict
    }

    /// Why a value does not fit, at most `most` reasons; empty for one that does. Throws when deciding would take too
    /// long.
    package func failures(
        column: Int, _ form: JSONForm, _ text: RawSpan, most: Int = 100
    ) throws(ValidationLimit) -> [ValidationFailure] {
        if try accepts(column: column, form, text) { return [] }
        var path = JSONPointer()
        path.append(name: schema.columns[column].name.utf8)
        run.tape.removeAll()
        guard run.tape.append(form, text) else {
            return [ValidationFailure(instancePath: path.text, schemaPath: "", reason: Self.misfit(form))]
        }
        run.begin(failuresMax: max(1, most), at: path)
        for node in nodes[column] { _ = run.check(node, 0) }
        if let limit = run.limit { throw limit }
        return run.failures
    }

    private static func misfit(_ form: JSONForm) -> String {
        switch form {
        case .number: "must be a number of JSON"
        case .json: "must be JSON"
        case .null, .true, .false, .string: "is too long to be checked"
        }
    }

    // MARK: Rows

    /// Begins a row. Columns that are not added are absent from it; only those with `isInRest` matter.
    package func beginRow() {
        row.removeAll(keepingBytes: namesEnd)
        _ = row.open(.object)
        memberCount = 0
        isRowOpen = true
    }

    /// Adds a column's value to the row, once for each column. False, and nothing added, for bytes that are not what
    /// `form` says, or too many: such a row cannot be valid.
    package func add(column: Int, _ form: JSONForm, _ text: RawSpan) -> Bool {
        if !isRowOpen { beginRow() }
        let nodeCount = row.nodes.count
        row.append(stringAt: nameRanges[column])
        guard row.append(form, text) else {
            row.nodes.removeSubrange(nodeCount...)
            return false
        }
        memberCount += 1
        return true
    }

    /// True when the row fits what is left of the schema for whole rows. Throws when deciding would take too long.
    package func acceptsRow() throws(ValidationLimit) -> Bool {
        closeRow()
        swap(&run.tape, &row)
        defer { swap(&run.tape, &row) }
        guard let verdict = run.accepts(schema.rest) else { throw run.limit ?? .steps }
        return verdict
    }

    /// Why the row does not fit, at most `most` reasons; empty for one that does. Throws when deciding would take too
    /// long.
    package func rowFailures(most: Int = 100) throws(ValidationLimit) -> [ValidationFailure] {
        if try acceptsRow() { return [] }
        swap(&run.tape, &row)
        defer { swap(&run.tape, &row) }
        run.begin(failuresMax: max(1, most))
        for node in schema.rest { _ = run.check(node, 0) }
        if let limit = run.limit { throw limit }
        return run.failures
    }

    private func closeRow() {
        if row.nodes.isEmpty { beginRow() }
        if isRowOpen { row.close(0, count: memberCount) }
        isRowOpen = false
    }
}

package import ChangeModel
internal import JSONSchema
package import JSONText

/// Why rows cannot be checked by a schema.
package struct RowRuleProblem: Error, Sendable, CustomStringConvertible {
    /// Where and what, such as `#/properties/id/type: "strin" is no type`.
    package var description: String
}

/// What the rows of a table have to be checked for, so that each is valid under a version of its contract: the version's
/// schema without what the types of the columns guarantee, laid out by columns. Never changed, shared by all threads.
///
/// What is valid or not is the row as an event has it under `after`.
package final class RowRules: Sendable {
    /// One question about a row. Those that it is made of come before it.
    struct Step: Sendable {
        enum Kind: UInt8, Sendable {
            /// a ..< b: steps in ``RowRules/lists``.
            case all, any, one
            /// a: step.
            case not
            /// a, b, c: steps for if, then, else.
            case condition
            /// a: index of the check.
            case value
            case always
            /// a: index of the reason.
            case never
        }

        var kind: Kind
        var a: Int32 = 0
        var b: Int32 = 0
        var c: Int32 = -1
        /// Where it stands in the schema.
        var location = ""
    }

    let steps: [Step]
    let lists: [Int32]
    let checks: [ColumnCheck]
    let reasons: [String]
    /// The step that says whether a row is valid.
    let root: Int32
    /// For each step the columns that it looks at.
    let touched: [[Int32]]
    /// For a schema that cannot be laid out by columns: all of it.
    let whole: JSONSchema?

    /// True when every row is valid because of the types of its columns.
    package var isProved: Bool { whole == nil && steps[Int(root)].kind == .always }

    /// The rules of a schema for the rows of a table. `derived` is the schema that is derived from the table. Throws
    /// when the schema is none that can be used.
    package init(
        _ relation: Relation, schema: JSONValue, derived: JSONValue
    ) throws(RowRuleProblem) {
        let all: JSONSchema
        do throws(SchemaProblem) {
            all = try JSONSchema(schema)
        } catch {
            throw RowRuleProblem(description: error.description)
        }
        var layout = RowLayout(relation, schema, derived)
        do throws(RowLayout.Obstacle) {
            root = try layout.layOut()
            whole = nil
        } catch {
            switch error {
            case .unusable(let problem): throw RowRuleProblem(description: problem.description)
            case .tooIntricate: break
            }
            root = layout.add(RowRules.Step(kind: .always))
            whole = all
        }
        (steps, lists, checks, reasons, touched) = (
            layout.steps, layout.lists, layout.checks, layout.reasons, layout.touched
        )
    }
}

/// What is asked of the values of one column.
struct ColumnCheck: Sendable {
    /// Its place in the relation.
    var column: Int
    /// Its name as a JSON Pointer.
    var instancePath: String
    /// What its values must fit.
    var schema: JSONSchema
    /// What stands before the paths in ``schema``.
    var location: String

    /// The path of a keyword in the whole schema.
    func schemaPath(_ path: String) -> String {
        if let place = path.firstIndex(of: "#"), path.hasPrefix(RowLayout.uri) {
            return String(path[path.index(after: place)...])
        }
        return location + path
    }
}

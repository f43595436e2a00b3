import ByteKit
import Foundation
import JSONSchema
import JSONText

/// Measures the validator: `Validation SCHEMA DOCUMENT TIMES` checks a document so many times, and prints the
/// nanoseconds of processor time that one time takes: with reading the text, without it, and as a row of columns whose
/// values are bytes.
@main
enum Validation {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let times = Int(arguments[3]), times > 0 else { throw CocoaError(.fileReadUnknown) }
        let schema = try JSONSchema(compiling: bytes(arguments[1]))
        let text = try bytes(arguments[2])
        let tape = try JSONTape(parsing: text)
        guard try schema.accepts(tape) else { throw CocoaError(.fileReadCorruptFile) }
        let whole = try nanoseconds(times) { try schema.accepts(try JSONTape(parsing: text)) }
        let check = try nanoseconds(times) { try schema.accepts(tape) }
        let row = try Row(schema, try JSONValue(parsing: text))
        let columns = try nanoseconds(times) { try row.isValid() }
        FileHandle.standardOutput.write(Data("\(whole) \(check) \(columns)\n".utf8))
    }

    /// A document as columns.
    private struct Row {
        let check: RowCheck
        let values: [(form: JSONForm, bytes: [UInt8])]

        init(_ schema: JSONSchema, _ document: JSONValue) throws {
            let members = document.object?.members ?? []
            check = RowCheck(RowSchema(schema, columns: members.map { (name: $0.name, values: .anything) }))
            values = members.map { member in
                switch member.value {
                case .null: (.null, [])
                case .bool(let truth): (truth ? .true : .false, [])
                case .number(let number): (.number, Array(number.text.utf8))
                case .string(let text): (.string, Array(text.utf8))
                case .array, .object: (.json, Array(member.value.compactText.utf8))
                }
            }
        }

        func isValid() throws -> Bool {
            let schema = check.schema
            if schema.hasRest { check.beginRow() }
            for column in values.indices {
                let (form, bytes) = values[column]
                if schema.columns[column].isChecked {
                    guard try check.accepts(column: column, form, bytes.rawBytes) else { return false }
                }
                if schema.hasRest, schema.columns[column].isInRest {
                    _ = check.add(column: column, form, bytes.rawBytes)
                }
            }
            return try !schema.hasRest || check.acceptsRow()
        }
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private static var processorTime: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }

    private static func nanoseconds(_ times: Int, _ body: () throws -> Bool) throws -> Double {
        let start = processorTime
        for _ in 0..<times { guard try body() else { throw CocoaError(.fileReadCorruptFile) } }
        return (processorTime - start) / Double(times)
    }
}

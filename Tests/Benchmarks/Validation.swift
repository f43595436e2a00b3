import Foundation
import JSONSchema

/// Measures the validator: `Validation SCHEMA DOCUMENT TIMES` checks a document so many times, and prints the
/// nanoseconds of processor time that one time takes, first with reading the text and then without.
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
        FileHandle.standardOutput.write(Data("\(whole) \(check)\n".utf8))
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

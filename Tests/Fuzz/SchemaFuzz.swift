import ByteKit
import JSONSchema
import JSONText

/// A schema and a document, with a zero byte between them, give a verdict or an error, the same with reasons and
/// without.
@_cdecl("LLVMFuzzerTestOneInput")
public func schemaFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    let parts = input.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map { Array($0) }
    // Both readers of JSON agree on what is JSON.
    let tape = try? JSONTape(parsing: parts[parts.count - 1])
    precondition((tape == nil) == ((try? JSONValue(parsing: parts[parts.count - 1])) == nil))
    for draft in [JSONSchema.Draft.draft2020, .draft7] {
        guard let schema = try? JSONSchema(compiling: parts[0], draft: draft), let tape else { continue }
        guard let verdict = try? schema.accepts(tape), let failures = try? schema.failures(of: tape, most: 3) else {
            continue
        }
        precondition(verdict == failures.isEmpty && failures.count <= 3)
        for failure in failures {
            precondition(UTF8Check.isValid(Array(failure.instancePath.utf8).rawBytes) && !failure.reason.isEmpty)
        }
    }
    return 0
}

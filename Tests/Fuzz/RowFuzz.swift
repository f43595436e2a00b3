import ByteKit
import JSONSchema
import JSONText

/// A schema and an object, with a zero byte between them: the object's columns have the verdict of the whole.
@_cdecl("LLVMFuzzerTestOneInput")
public func rowFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    let parts = input.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map { Array($0) }
    guard parts.count == 2, let schema = try? JSONSchema(compiling: parts[0]),
        let members = (try? JSONValue(parsing: parts[1]))?.object?.members,
        Set(members.map { Array($0.name.utf8) }).count == members.count,
        let tape = try? JSONTape(parsing: parts[1]), let verdict = try? schema.accepts(tape)
    else { return 0 }
    for values in [{ _ in .anything }, guarantee] as [(JSONValue) -> ValueGuarantee] {
        guard let mine = try? rowVerdict(schema, members, values) else { continue }
        precondition(mine == verdict)
    }
    return 0
}

private func rowVerdict(
    _ schema: JSONSchema, _ members: [JSONObject.Member], _ guarantee: (JSONValue) -> ValueGuarantee
) throws(ValidationLimit) -> Bool {
    let row = RowSchema(schema, columns: members.map { (name: $0.name, values: guarantee($0.value)) })
    let check = RowCheck(row)
    check.beginRow()
    var isValid = row.contradictions.isEmpty
    for (place, member) in members.enumerated() {
        let (form, text) = form(member.value)
        let bytes = Array(text.utf8)
        let fits = try check.accepts(column: place, form, bytes.rawBytes)
        precondition(fits || row.columns[place].isChecked)
        isValid = isValid && fits
        if row.columns[place].isInRest { precondition(check.add(column: place, form, bytes.rawBytes)) }
    }
    return try check.acceptsRow() && isValid
}

private func form(_ value: JSONValue) -> (JSONForm, String) {
    switch value {
    case .null: (.null, "")
    case .bool(let truth): (truth ? .true : .false, "")
    case .number(let number): (.number, number.text)
    case .string(let text): (.string, text)
    case .array, .object: (.json, value.compactText)
    }
}

/// Much that holds for one value.
private func guarantee(_ value: JSONValue) -> ValueGuarantee {
    switch value {
    case .null: ValueGuarantee(kinds: .null)
    case .bool: ValueGuarantee(kinds: .bool)
    case .number(let number):
        ValueGuarantee(kinds: .number, areNumbersWhole: number.isWhole, numbers: number.integer.map { $0...$0 })
    case .string(let text):
        ValueGuarantee(kinds: .string, lengthMin: text.unicodeScalars.count, lengthMax: text.unicodeScalars.count)
    case .array: ValueGuarantee(kinds: .array)
    case .object: ValueGuarantee(kinds: .object)
    }
}

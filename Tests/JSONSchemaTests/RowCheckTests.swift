import ByteKit
import JSONText
import Testing

@testable import JSONSchema

/// A row that is checked column by column, from the bytes of its values.
struct RowCheckTests {
    private static func form(_ value: JSONValue) -> (JSONForm, String) {
        switch value {
        case .null: (.null, "")
        case .bool(let truth): (truth ? .true : .false, "")
        case .number(let number): (.number, number.text)
        case .string(let text): (.string, text)
        case .array, .object: (.json, value.compactText)
        }
    }

    /// The tightest that can be said of one value.
    private static func guarantee(_ value: JSONValue) -> ValueGuarantee {
        switch value {
        case .null: ValueGuarantee(kinds: .null)
        case .bool: ValueGuarantee(kinds: .bool)
        case .number(let number):
            ValueGuarantee(
                kinds: .number, areNumbersWhole: number.isWhole, numbers: number.integer.map { $0...$0 })
        case .string(let text):
            ValueGuarantee(
                kinds: .string, lengthMin: text.unicodeScalars.count, lengthMax: text.unicodeScalars.count)
        case .array: ValueGuarantee(kinds: .array)
        case .object: ValueGuarantee(kinds: .object)
        }
    }

    /// The verdict on an object as the columns and the rest of the row give it.
    private static func verdict(
        _ schema: JSONSchema, _ row: JSONObject, _ guarantee: (JSONValue) -> ValueGuarantee
    ) throws -> Bool {
        let parts = RowSchema(schema, columns: row.members.map { ($0.name, guarantee($0.value)) })
        let checker = Checker(check: RowCheck(parts))
        guard parts.contradictions.isEmpty else { return false }
        var isValid = true
        // Twice, because memory is used again.
        for _ in 0..<2 {
            checker.check.beginRow()
            for (place, member) in row.members.enumerated() {
                let (form, text) = form(member.value)
                let bytes = Array(text.utf8)
                let fits = try checker.accepts(place, form, bytes)
                let failures = try checker.failures(place, form, bytes)
                #expect(fits == failures.isEmpty)
                if parts.columns[place].isChecked { isValid = isValid && fits } else { #expect(fits) }
                if parts.columns[place].isInRest { #expect(checker.add(place, form, bytes)) }
            }
            guard parts.hasRest else { continue }
            let fits = try checker.check.acceptsRow()
            #expect(try checker.check.rowFailures().isEmpty == fits)
            isValid = isValid && fits
        }
        return isValid
    }

    @Test(arguments: ConformanceTests.files)
    func rowsHaveTheVerdictsOfTheirDocuments(_ file: ConformanceTests.CaseFile) throws {
        try ConformanceTests.forEachCase(file) { schema, test throws in
            guard let row = test["data"]?.object,
                Set(row.members.map { Array($0.name.utf8) }).count == row.members.count,
                let whole = try? schema.accepts(try JSONTape(.object(row)))
            else { return }
            let description = "\(file.testDescription): \(test["description"]?.string ?? "")"
            #expect(try Self.verdict(schema, row) { _ in .anything } == whole, "\(description)")
            #expect(try Self.verdict(schema, row, Self.guarantee) == whole, "\(description)")
        }
    }

    /// A check whose values are given as lists of bytes.
    private struct Checker {
        let check: RowCheck

        func accepts(_ column: Int, _ form: JSONForm, _ text: [UInt8]) throws -> Bool {
            try check.accepts(column: column, form, text.rawBytes)
        }

        func failures(_ column: Int, _ form: JSONForm, _ text: [UInt8]) throws -> [String] {
            try check.failures(column: column, form, text.rawBytes).map(\.description)
        }

        func add(_ column: Int, _ form: JSONForm, _ text: [UInt8]) -> Bool {
            check.add(column: column, form, text.rawBytes)
        }
    }

    // MARK: The parts of a schema

    private func parts(_ schema: String, _ columns: [(String, ValueGuarantee)]) throws -> RowSchema {
        RowSchema(try JSONSchema(compiling: Array(schema.utf8)), columns: columns.map { (name: $0.0, values: $0.1) })
    }

    private static let integer = ValueGuarantee(kinds: .number, areNumbersWhole: true, numbers: -32_768...32_767)
    private static let text = ValueGuarantee(kinds: [.string, .null], lengthMax: 80)

    @Test func whatTypesGuaranteeIsNotChecked() throws {
        let parts = try parts(
            #"""
            {"type":"object","required":["id","state"],"properties":{
             "id":{"type":"integer","minimum":-40000},"note":{"type":["string","null"],"maxLength":80},
             "state":{"enum":["new","done"]},"short":{"type":["string","null"],"maxLength":79},
             "even":{"type":"integer","multipleOf":2},"at":{"type":"string","format":"date-time"},
             "flag":{"type":"boolean"},"strict":{"type":"string"}}}
            """#,
            [
                ("id", Self.integer), ("note", Self.text),
                ("state", ValueGuarantee(kinds: .string, texts: ["done", "new"])), ("short", Self.text),
                ("even", Self.integer), ("at", ValueGuarantee(kinds: .string, formats: ["date-time"])),
                ("flag", ValueGuarantee(kinds: .bool)), ("strict", Self.text), ("free", .anything),
            ])
        #expect(parts.columns.filter(\.isChecked).map(\.name) == ["short", "even", "strict"])
        #expect(parts.columns.filter(\.isRequired).map(\.name) == ["id", "state"])
        #expect(!parts.hasRest && parts.contradictions.isEmpty)
    }

    @Test func onlyColumnsThatTheRestLooksAtAreInIt() throws {
        let parts = try parts(
            ##"""
            {"$ref":"#/$defs/base","if":{"properties":{"state":{"const":"paid"}}},"then":{"required":["paid_at"]},
             "dependentRequired":{"card":["holder"]},
             "$defs":{"base":{"type":"object","properties":{"total":{"minimum":0}}}}}
            """##,
            ["id", "state", "total", "paid_at", "card", "holder"].map { ($0, .anything) })
        #expect(parts.columns.filter(\.isChecked).map(\.name) == ["total"])
        #expect(parts.columns.filter(\.isInRest).map(\.name) == ["state", "paid_at", "card", "holder"])
        #expect(parts.hasRest)
    }

    @Test func columnsThatNoRowMayHaveOrMustHaveAreContradictions() throws {
        let parts = try parts(
            #"{"properties":{"id":{}},"required":["id","name"],"additionalProperties":false}"#,
            [("id", .anything), ("extra", .anything)])
        #expect(
            Set(parts.contradictions.map(\.description)) == [
                #"the document must have the member "name" (/required)"#,
                "/extra must not be there (/additionalProperties)",
            ])
    }

    // MARK: Values

    @Test(arguments: [
        (JSONForm.string, "ab\"c", true), (.string, "a\nb", true), (.string, "a", false), (.string, "abcdefg", false),
        (.null, "", true), (.true, "", false), (.number, "12", false), (.json, #""ab\u0063""#, true),
        (.json, #""a""#, false), (.json, "nope", false), (.json, "null", true), (.json, "[1,", false),
    ])
    func valueIsCheckedFromItsBytes(_ form: JSONForm, _ text: String, _ isValid: Bool) throws {
        let checker = Checker(
            check: RowCheck(
                try parts(
                    #"{"properties":{"a":{"type":["string","null"],"pattern":"^a","minLength":2,"maxLength":6}}}"#,
                    [("a", .anything)])))
        let bytes = Array(text.utf8)
        #expect(try checker.accepts(0, form, bytes) == isValid)
        #expect(try checker.failures(0, form, bytes).isEmpty == isValid)
    }

    @Test(arguments: [
        ("1", true), ("-0.5", false), ("1e2", true), ("100.01", false), ("NaN", false), ("", false), ("+1", false),
        ("1 ", false),
    ])
    func numberIsCheckedFromItsText(_ text: String, _ isValid: Bool) throws {
        let checker = Checker(
            check: RowCheck(
                try parts(#"{"properties":{"a":{"type":"number","minimum":0,"maximum":1e2}}}"#, [("a", .anything)])))
        let bytes = Array(text.utf8)
        #expect(try checker.accepts(0, .number, bytes) == isValid)
        #expect(try checker.failures(0, .number, bytes).isEmpty == isValid)
    }

    @Test func textThatIsNotUTF8CountsAsTheEventHasIt() throws {
        let checker = Checker(
            check: RowCheck(try parts(#"{"properties":{"a":{"pattern":"^x\uFFFDy$"}}}"#, [("a", .anything)])))
        #expect(try checker.accepts(0, .string, ([0x78, 0xFF, 0x79] as [UInt8])))
        #expect(try !checker.accepts(0, .string, ([0x78, 0x79] as [UInt8])))
    }

    @Test func failuresNameTheColumnAndNotTheValue() throws {
        let checker = Checker(
            check: RowCheck(
                try parts(
                    #"""
                    {"properties":{"a/b":{"maximum":9},"c":{"type":"string"}},
                     "if":{"required":["c"]},"then":{"required":["a/b"]}}
                    """#,
                    [("a/b", .anything), ("c", .anything)])))
        let number = Array("4711".utf8)
        #expect(
            try checker.failures(0, .number, number) == [
                "/a~1b must be 9 or less (/properties/a~1b/maximum)"
            ])
        checker.check.beginRow()
        #expect(checker.add(1, .number, number))
        #expect(
            try checker.check.rowFailures().map(\.description) == [
                #"the document must have the member "a/b" (/then/required)"#
            ]
        )
        #expect(!checker.add(0, .number, Array("4711x".utf8)))
        checker.check.beginRow()
        #expect(checker.add(0, .number, number) && checker.add(1, .number, number))
        #expect(try checker.check.acceptsRow())
    }

    @Test func memoryOfLargeValuesIsGivenBack() throws {
        let checker = Checker(check: RowCheck(try parts(#"{"properties":{"a":{"maxLength":3}}}"#, [("a", .anything)])))
        let large = [UInt8](repeating: 0x61, count: 8 << 20)
        #expect(try !checker.accepts(0, .string, large))
        #expect(try checker.accepts(0, .string, Array("abc".utf8)))
        checker.check.beginRow()
        #expect(checker.add(0, .string, large))
        checker.check.beginRow()
        #expect(checker.add(0, .null, large))
        #expect(try checker.check.acceptsRow())
    }

    @Test func valueThatTakesTooLongHasNoVerdict() throws {
        let checker = Checker(
            check: RowCheck(try parts(#"{"properties":{"a":{"pattern":"(?!c)(a+)+$"}}}"#, [("a", .anything)])))
        let slow = Array((String(repeating: "a", count: 60) + "b").utf8)
        for _ in 0..<2 {
            #expect(throws: ValidationLimit.pattern) { try checker.accepts(0, .string, slow) }
            #expect(try checker.accepts(0, .string, Array("aa".utf8)))
        }
    }
}

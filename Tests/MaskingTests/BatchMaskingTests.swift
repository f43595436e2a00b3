import ByteKit
import ChangeModel
import ConnectorKit
import Testing

@testable import Masking

/// A value of a sample tuple.
enum Sample: Equatable {
    case null
    case unchanged
    case text(String)
    case integer(String)
    case binary([UInt8])

    func append(to output: inout OutputBuffer) {
        let (kind, bytes): (UInt8, [UInt8]) =
            switch self {
            case .null: (ValueKind.null, [])
            case .unchanged: (ValueKind.unchanged, [])
            case .text(let text): (ValueKind.text, Array(text.utf8))
            case .integer(let text): (ValueKind.integer, Array(text.utf8))
            case .binary(let bytes): (ValueKind.binary, bytes)
            }
        output.append(kind)
        guard ValueKind.hasBytes(kind) else { return }
        output.append(bigEndian: Int32(bytes.count))
        output.append(bytes)
    }

    init(_ value: borrowing TupleValue) {
        let bytes = (0..<value.bytes.byteCount).map { value.bytes.byte($0) }
        switch value.kind {
        case ValueKind.null: self = .null
        case ValueKind.unchanged: self = .unchanged
        case ValueKind.text: self = .text(String(decoding: bytes, as: UTF8.self))
        case ValueKind.integer: self = .integer(String(decoding: bytes, as: UTF8.self))
        default: self = .binary(bytes)
        }
    }
}

extension ChangeBatchBuilder {
    mutating func append(_ values: [Sample]?) -> ByteRange {
        guard let values else { return .empty }
        return appendTuple(columnCount: values.count) { (output: inout OutputBuffer) in
            for value in values { value.append(to: &output) }
        }
    }

    mutating func append(
        _ operation: Operation, _ relation: UInt32, ordinal: UInt32, image: BeforeImage = .none,
        before: [Sample]? = nil, after: [Sample]? = nil
    ) {
        let (before, after) = (append(before), append(after))
        append(
            RowChange(
                operation: operation, relation: relation, transaction: 0, ordinal: ordinal,
                beforeImage: image, before: before, after: after))
    }
}

extension ChangeBatch {
    func values(_ range: ByteRange) -> [Sample]? {
        guard !range.isEmpty, var reader = TupleReader(tuple(range)) else { return nil }
        var values: [Sample] = []
        for _ in 0..<reader.columnCount {
            guard let value = reader.next() else { return nil }
            values.append(Sample(value))
        }
        return values
    }
}

let checkpoint = SourceCheckpoint(last: nil, resume: ResumePosition(7), notes: [1, 2])

func relation(_ name: String, _ columns: [(String, ValueType)], key: Set<String> = ["id"]) -> Relation {
    Relation(
        sourceID: 5, schema: "public", name: name,
        columns: columns.map {
            Column(name: $0.0, type: $0.1, typeName: "\($0.1)", typeID: 99, keyPosition: key.contains($0.0) ? 0 : nil)
        })
}

func rules(_ masks: [String: ColumnMask], tables: String = "public.people") -> MaskRules {
    MaskRules(
        [MaskRules.Rule(tables: [TablePattern(tables)], columns: masks)], salt: Array("a salt of some length".utf8))
}

struct BatchMaskingTests {
    let people = relation("people", [("id", .int32), ("email", .text), ("card", .text), ("note", .text)])

    private func batch(_ fill: (inout ChangeBatchBuilder) -> Void) throws -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: 100)
        _ = builder.begin(TransactionInfo(commit: 77, id: 8, committedAt: 9))
        _ = builder.index(of: people)
        fill(&builder)
        return try builder.seal(checkpoint: checkpoint, mustBeDurableBeforeDelivery: true)
    }

    private func hash(_ text: String) throws -> Sample {
        var output = OutputBuffer()
        let bytes = Array(text.utf8)
        try KeyedHash(key: Array("a salt of some length".utf8)).append(hashOf: bytes.rawBytes, to: &output)
        return .text(String(decoding: (0..<output.count).map { output.bytes.byte($0) }, as: UTF8.self))
    }

    @Test func everyImageOfAChangeIsMaskedAlike() throws {
        let batch = try batch { builder in
            builder.append(
                .insert, 0, ordinal: 3,
                after: [.text("1"), .text("a@b"), .text("4111"), .text("grün und blau")])
            builder.append(
                .update, 0, ordinal: 4, image: .full,
                before: [.text("1"), .text("a@b"), .null, .null],
                after: [.text("1"), .null, .unchanged, .unchanged])
            builder.append(
                .delete, 0, ordinal: 5, image: .key, before: [.text("1"), .null, .null, .null])
            builder.append(.truncate, 0, ordinal: 6)
        }
        var masking = try BatchMasking(rules(["id": .hash, "email": .drop, "card": .redact, "note": .truncate(3)]))
        let masked = try masking.apply(to: batch)
        let one = try hash("1")
        #expect(masked.relations.map { $0.columns.map(\.name) } == [["id", "card", "note"]])
        #expect(masked.relations[0].columns.allSatisfy { $0.type == .text && $0.typeName == "text" && $0.typeID == 25 })
        #expect(masked.relations[0].keyColumns == [0])
        let changes = (0..<4).map { masked.change(at: $0) }
        #expect(changes.map(\.operation) == [.insert, .update, .delete, .truncate])
        #expect(masked.values(changes[0].after) == [one, .text("[redacted]"), .text("grü")])
        #expect(masked.values(changes[1].before) == [one, .text("[redacted]"), .null])
        #expect(masked.values(changes[1].after) == [one, .unchanged, .unchanged])
        #expect(masked.values(changes[2].before) == [one, .null, .null], "the image of a key stays one")
        #expect(masked.values(changes[3].after) == nil)
        #expect(changes.map(\.beforeImage) == [.none, .full, .key, .none])
        // What is no value stays as it was.
        #expect((0..<4).map { masked.identity(at: $0) } == (0..<4).map { batch.identity(at: $0) })
        #expect(masked.transaction(at: 0) == batch.transaction(at: 0))
        #expect(masked.checkpoint == checkpoint && masked.mustBeDurableBeforeDelivery)
        #expect(try ChangeBatch(decoding: masked.body, relations: masked.relations).changeCount == 4)
    }

    @Test func aBatchWithoutMaskedTablesPassesAsItIs() throws {
        let batch = try batch { $0.append(.insert, 0, ordinal: 0, after: [.text("1"), .null, .null, .null]) }
        for others in [MaskRules(), rules(["email": .drop], tables: "public.others"), rules(["other": .drop])] {
            var masking = try BatchMasking(others)
            #expect(try masking.apply(to: batch) === batch)
        }
    }

    @Test func tablesBesideAMaskedOneKeepEveryByte() throws {
        let other = relation("orders", [("id", .int32), ("email", .bytes)])
        let row: [Sample] = [.integer("1"), .binary([0, 255])]
        let batch = try batch { builder in
            let index = builder.index(of: other)
            builder.append(.insert, 0, ordinal: 0, after: [.text("1"), .text("a"), .null, .null])
            builder.append(.update, index, ordinal: 1, image: .full, before: row, after: row)
        }
        var masking = try BatchMasking(rules(["email": .hash]))
        let masked = try masking.apply(to: batch)
        let change = masked.change(at: 1)
        #expect(masked.relations[Int(change.relation)] === other)
        #expect(masked.values(change.before) == row && masked.values(change.after) == row)
        #expect(try masking.apply(to: batch).relations[0] === masked.relations[0], "one object for one relation")
    }

    @Test func valuesOfAnyKindAreMasked() throws {
        let table = relation("people", [("id", .dynamic), ("a", .dynamic), ("b", .dynamic), ("c", .dynamic)])
        var builder = ChangeBatchBuilder(capacity: 100)
        _ = builder.begin(TransactionInfo(commit: 1, id: 0, committedAt: 0))
        let index = builder.index(of: table)
        let long = String(repeating: "é€😀", count: 500)
        builder.append(
            .insert, index, ordinal: 0, after: [.integer("42"), .integer("123456"), .binary([1, 2, 3]), .text(long)])
        let batch = try builder.seal(checkpoint: checkpoint)
        var masking = try BatchMasking(rules(["id": .hash, "a": .truncate(3), "b": .truncate(2), "c": .truncate(4)]))
        let masked = try masking.apply(to: batch)
        #expect(
            masked.values(masked.change(at: 0).after)
                == [try hash("42"), .text("123"), .binary([1, 2]), .text("é€😀é")])
    }

    /// Cut as text, an odd number of digits was left, which is no value of the column.
    @Test func bytesAreCutAsBytes() throws {
        let table = relation("people", [("id", .int32), ("a", .bytes), ("b", .bytes), ("c", .bytes)])
        var builder = ChangeBatchBuilder(capacity: 100)
        _ = builder.begin(TransactionInfo(commit: 1, id: 0, committedAt: 0))
        let index = builder.index(of: table)
        let digits = "\\x00ff10ab"
        builder.append(
            .insert, index, ordinal: 0, after: [.text("1"), .text(digits), .text(digits), .text("no digits")])
        let batch = try builder.seal(checkpoint: checkpoint)
        var masking = try BatchMasking(rules(["a": .truncate(3), "b": .truncate(9), "c": .truncate(4)]))
        let masked = try masking.apply(to: batch)
        #expect(
            masked.values(masked.change(at: 0).after)
                == [.text("1"), .text("\\x00ff10"), .text(digits), .text("")])
        #expect(masked.relations[0].columns[1] == table.columns[1], "they are bytes still")
    }

    @Test func aKeyTakesHashesOnly() throws {
        let batch = try batch { $0.append(.insert, 0, ordinal: 0, after: [.text("1"), .null, .null, .null]) }
        for mask in [ColumnMask.drop, .redact, .truncate(1)] {
            var masking = try BatchMasking(rules(["id": mask]))
            do throws(ConnectorFailure) {
                _ = try masking.apply(to: batch)
                Issue.record("a key was masked by \(mask)")
            } catch {
                #expect(error.code == "pipeline.mask_on_key" && error.remedy == .stop)
            }
        }
    }

    @Test func aRowThatCannotBeMaskedIsNotLetThrough() throws {
        for tuple in [[0, 4, UInt8(ascii: "n")], [0, 1, UInt8(ascii: "n")], [0]] as [[UInt8]] {
            let batch = try batch { builder in
                let range = builder.append(tuple: tuple.rawBytes)
                builder.append(RowChange(operation: .insert, relation: 0, transaction: 0, ordinal: 0, after: range))
            }
            var masking = try BatchMasking(rules(["email": .redact]))
            #expect(throws: ConnectorFailure.self) { try masking.apply(to: batch) }
        }
    }

    @Test func theStrongestOfSeveralMasksHolds() {
        let rules = MaskRules([
            MaskRules.Rule(tables: [TablePattern("*")], columns: ["email": .hash, "card": .drop]),
            MaskRules.Rule(tables: [TablePattern("public.people")], columns: ["email": .redact, "card": .truncate(4)]),
        ])
        #expect(rules.mask(of: "email", schema: "public", table: "people") == .redact)
        #expect(rules.mask(of: "card", schema: "public", table: "people") == .drop)
        #expect(rules.mask(of: "email", schema: "public", table: "orders") == .hash)
        #expect(rules.mask(of: "id", schema: "public", table: "people") == nil)
        #expect(rules.isMasked(people, column: "email") && !rules.isMasked(people, column: "id"))
    }

    @Test func masksWithoutAColumnAreFound() throws {
        let batch = try batch { $0.append(.insert, 0, ordinal: 0, after: [.text("1"), .null, .null, .null]) }
        var masking = try BatchMasking(rules(["Email": .drop, "card": .drop]))
        _ = try masking.apply(to: batch)
        #expect(masking.takeWarnings() == ["public.people has no column Email to mask"])
        _ = try masking.apply(to: batch)
        #expect(masking.takeWarnings().isEmpty)
        let tables = [
            TableColumns(schema: "public", table: "people", columns: ["id", "email"], key: ["id"]),
            TableColumns(schema: "public", table: "orders", columns: ["id"], key: ["id"]),
        ]
        func codes(_ rules: MaskRules) -> [String] { rules.findings(tables).map { "\($0.level.rawValue) \($0.code)" } }
        #expect(codes(rules(["email": .hash], tables: "*")) == ["ok pipeline.mask_unused"])
        #expect(codes(rules(["email": .hash, "Email": .hash])) == ["problem pipeline.mask_unused"])
        #expect(codes(rules(["email": .hash], tables: "public.nobody")) == ["problem pipeline.mask_unused"])
        #expect(
            codes(rules(["id": .drop], tables: "*")) == [
                "problem pipeline.mask_on_key", "problem pipeline.mask_on_key",
            ])
        #expect(codes(MaskRules()).isEmpty)
    }

    @Test func hashesAreThoseOfTheStandard() throws {
        func text(_ key: [UInt8], _ data: String) throws -> String {
            let hash = try KeyedHash(key: key)
            let bytes = Array(data.utf8)
            var output = OutputBuffer()
            // Twice: the second hash begins anew.
            try hash.append(hashOf: bytes.rawBytes, to: &output)
            output.removeAll()
            try hash.append(hashOf: bytes.rawBytes, to: &output)
            return String(decoding: (0..<output.count).map { output.bytes.byte($0) }, as: UTF8.self)
        }
        #expect(
            try text(Array(repeating: 0x0B, count: 20), "Hi There")
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        #expect(
            try text(Array("Jefe".utf8), "what do ya want for nothing?")
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            try text(Array("key".utf8), "") == "5d5d139563c95b5967b9bd9a8c9b233a9dedb45072794cd232dc1b74832607d0")
    }
}

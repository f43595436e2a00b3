import Foundation
import JSONText
import Testing

@testable import JSONSchema

/// Whatever is called compatible is: no document that is valid under the writer is invalid under the reader.
@Suite(.timeLimit(.minutes(10)))
struct SoundnessTests {
    /// More pairs than the everyday run has: set the variable to try the rules harder.
    private static let pairs = ProcessInfo.processInfo.environment["MILLRACE_SCHEMA_PAIRS"].flatMap { Int($0) } ?? 300

    /// Every scalar of the vocabulary, and arrays and objects of few of them.
    private static let documents: [JSONTape] = {
        let scalars: [JSONValue] =
            [.null, true, false] + RandomSchemas.texts.map { .string($0) }
            + RandomSchemas.numbers.compactMap { JSONNumber(text: $0).map { .number($0) } }
        let few: [JSONValue] = [.null, true, 1, "a", [], [:]]
        var documents = scalars + [[], [:]]
        documents += few.map { [$0] }
        documents +=
            few.flatMap { first in few.map { [first, $0] } } + [[1, 2, 3], ["a", "a", "a"], [1, "a", .null, 2]]
        for name in RandomSchemas.names {
            documents += scalars.map { .object(JSONObject([.init(name: name, value: $0)])) }
        }
        for first in RandomSchemas.names {
            for second in RandomSchemas.names where second != first {
                documents += few.map {
                    .object(JSONObject([.init(name: first, value: 1), .init(name: second, value: $0)]))
                }
            }
        }
        return documents.compactMap { try? JSONTape($0) }
    }()

    private struct Tally {
        var pairs = 0
        var compatible = 0
        var witnesses = 0
        var unexplained = 0

        func text(_ policy: String, isOld: Bool) -> String {
            "\(policy), \(isOld ? "draft 07" : "2020-12"): \(pairs) pairs, \(compatible) compatible, "
                + "\(witnesses) refuted by a document, \(unexplained) called breaking without a document"
        }
    }

    private func documents(_ schemas: inout RandomSchemas) throws -> [JSONTape] {
        try Self.documents + (0..<40).map { _ in try JSONTape(schemas.value(3)) }
    }

    /// Says what was counted, when somebody asks for many pairs.
    private func note(_ text: String) {
        if ProcessInfo.processInfo.environment["MILLRACE_SCHEMA_PAIRS"] == nil { return }
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    /// A pair of schemas, and what was found about it.
    private struct Pair {
        var seed: Int
        var writer: JSONValue
        var reader: JSONValue
        var isCompatible: Bool
        var documents: [JSONTape]

        /// Notes a document that one takes and the other does not.
        func refute(_ document: JSONTape) {
            let text = String(decoding: document.bytes, as: UTF8.self)
            Issue.record("seed \(seed): \(text) fits \(writer.compactText) and does not fit \(reader.compactText)")
        }
    }

    /// Compares random pairs; `refutes` says whether a document that the writer takes speaks against a pair.
    private func tally(
        isOld: Bool, _ policy: ComparisonPolicy, refutes: (Pair, JSONTape) throws -> Bool = { _, _ in true }
    ) throws -> Tally {
        var tally = Tally()
        for seed in 0..<Self.pairs {
            var schemas = RandomSchemas(seed: UInt64(seed) * 4 + (isOld ? 1 : 0) + (policy == .strict ? 0 : 2))
            schemas.isOld = isOld
            let writer = schemas.document(3)
            let reader = schemas.chance(15) ? schemas.document(3) : schemas.changed(writer)
            guard let old = try? JSONSchema(writer), let new = try? JSONSchema(reader) else { continue }
            let comparison = SchemaComparison(reader: reader, writer: writer, policy: policy)
            let pair = Pair(
                seed: seed, writer: writer, reader: reader, isCompatible: comparison.isCompatible,
                documents: try documents(&schemas))
            tally.pairs += 1
            if pair.isCompatible { tally.compatible += 1 }
            let witness = try pair.documents.first {
                try old.accepts($0) && !new.accepts($0) && refutes(pair, $0)
            }
            if let witness {
                tally.witnesses += 1
                if pair.isCompatible { pair.refute(witness) }
            } else if !pair.isCompatible {
                tally.unexplained += 1
                show(comparison, pair)
            }
        }
        return tally
    }

    /// Shows a pair that may be called incompatible without need, when somebody asks for it.
    private func show(_ comparison: SchemaComparison, _ pair: Pair) {
        if ProcessInfo.processInfo.environment["MILLRACE_SCHEMA_SHOW"] == nil { return }
        note(
            "\(pair.writer.compactText)\n  → \(pair.reader.compactText)\n  "
                + comparison.breaks.map(\.description).joined(separator: "\n  "))
    }

    @Test(arguments: [false, true])
    func noDocumentRefutesWhatIsCalledCompatibleStrictly(isOld: Bool) throws {
        let tally = try tally(isOld: isOld, .strict)
        note(tally.text("strict", isOld: isOld))
        #expect(tally.compatible > tally.pairs / 10 && tally.witnesses > tally.pairs / 10)
    }

    /// The exceptions of the lenient policy are these two, and no others.
    @Test(arguments: [false, true])
    func noDocumentOfNamedMembersRefutesWhatIsCalledCompatibleLeniently(isOld: Bool) throws {
        let tally = try tally(isOld: isOld, .lenient) { pair, document in
            guard try LenientReading(pair.writer, isOld: isOld).names(JSONValue(parsing: document.bytes)) else {
                return false
            }
            let reading = LenientReading(pair.reader, isOld: isOld)
            return try [true, false].allSatisfy { insideOneOf in
                try !JSONSchema(reading.relaxed(insideOneOf: insideOneOf)).accepts(document)
            }
        }
        note(tally.text("lenient", isOld: isOld))
        #expect(tally.compatible > tally.pairs / 10 && tally.witnesses > tally.pairs / 20)
    }
}

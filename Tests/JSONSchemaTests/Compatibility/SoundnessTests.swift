import Foundation
import JSONText
import Testing

@testable import JSONSchema

/// Whatever is called compatible is: no document that is valid under the writer is invalid under the reader.
@Suite(.timeLimit(.minutes(10)))
struct SoundnessTests {
    /// More pairs than the everyday run has: set the variable to try the rules harder.
    private static let pairs = ProcessInfo.processInfo.environment["MILLRACE_SCHEMA_PAIRS"].flatMap { Int($0) } ?? 1500

    /// Every scalar of the vocabulary, and arrays and objects of few of them.
    private static let documents: [JSONValue] = {
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
        return documents
    }()

    private struct Tally {
        var pairs = 0
        var compatible = 0
        var witnesses = 0
        var unexplained = 0
    }

    private func documents(_ schemas: inout RandomSchemas) throws -> [JSONTape] {
        try (Self.documents + (0..<60).map { _ in schemas.value(3) }).map { try JSONTape($0) }
    }

    /// Says what was counted, when somebody asks for many pairs.
    private func note(_ text: String) {
        if ProcessInfo.processInfo.environment["MILLRACE_SCHEMA_PAIRS"] == nil { return }
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    @Test(arguments: [false, true])
    func noDocumentRefutesWhatIsCalledCompatibleStrictly(isOld: Bool) throws {
        var tally = Tally()
        for seed in 0..<Self.pairs {
            var schemas = RandomSchemas(seed: UInt64(seed) * 2 + (isOld ? 1 : 0))
            schemas.isOld = isOld
            let writer = schemas.document(3)
            let reader = schemas.chance(15) ? schemas.document(3) : schemas.changed(writer)
            guard let old = try? JSONSchema(writer), let new = try? JSONSchema(reader) else { continue }
            let comparison = SchemaComparison(reader: reader, writer: writer, policy: .strict)
            tally.pairs += 1
            if comparison.isCompatible { tally.compatible += 1 }
            var isRefuted = false
            for document in try documents(&schemas) where try old.accepts(document) && !new.accepts(document) {
                isRefuted = true
                if comparison.isCompatible {
                    let text = String(decoding: document.bytes, as: UTF8.self)
                    Issue.record(
                        "seed \(seed): \(text) is valid under \(writer.compactText) and not under \(reader.compactText)"
                    )
                }
                break
            }
            if isRefuted { tally.witnesses += 1 }
            if !isRefuted && !comparison.isCompatible { tally.unexplained += 1 }
        }
        note(
            "strict, \(isOld ? "draft 07" : "2020-12"): \(tally.pairs) pairs, \(tally.compatible) compatible, "
                + "\(tally.witnesses) refuted by a document, \(tally.unexplained) called breaking without a document")
        #expect(tally.compatible > tally.pairs / 10 && tally.witnesses > tally.pairs / 10)
    }
}

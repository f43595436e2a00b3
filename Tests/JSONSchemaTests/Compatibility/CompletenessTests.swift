import Foundation
import JSONText
import Testing

@testable import JSONSchema

/// What is compatible is called so, nearly always.
@Suite(.timeLimit(.minutes(5)))
struct CompletenessTests {
    private static let schemas = ProcessInfo.processInfo.environment["MILLRACE_SCHEMA_PAIRS"].flatMap { Int($0) } ?? 250

    private func note(_ text: String) {
        if ProcessInfo.processInfo.environment["MILLRACE_SCHEMA_PAIRS"] == nil { return }
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    /// The schema with its members in another order and other annotations.
    private func respelled(_ value: JSONValue, _ schemas: inout RandomSchemas) -> JSONValue {
        if let array = value.array { return .array(array.map { respelled($0, &schemas) }) }
        guard let object = value.object else { return value }
        return .object(
            JSONObject(
                object.members.map { .init(name: $0.name, value: respelled($0.value, &schemas)) }
                    .shuffled(using: &schemas.random)))
    }

    @Test(arguments: [false, true], ComparisonPolicy.allCases)
    func schemaIsCompatibleWithItsOwnSpellings(isOld: Bool, policy: ComparisonPolicy) throws {
        var (count, refused) = (0, 0)
        for seed in 0..<Self.schemas {
            var schemas = RandomSchemas(seed: UInt64(seed) + 1_000_000)
            schemas.isOld = isOld
            let schema = schemas.document(3)
            guard (try? JSONSchema(schema)) != nil, var other = respelled(schema, &schemas).object else { continue }
            other["title"] = "the same"
            count += 1
            let breaks = SchemaComparison(reader: .object(other), writer: schema, policy: policy).breaks
            if !breaks.isEmpty {
                refused += 1
                note("\(schema.compactText)\n  \(breaks.map(\.description).joined(separator: "\n  "))")
            }
        }
        note("\(refused) of \(count) schemas are not compatible with themselves")
        #expect(count > Self.schemas / 2 && refused * 50 <= count)
    }

    /// Changes that let more pass, at the top of a schema.
    private func relaxed(_ schema: JSONValue, _ schemas: inout RandomSchemas) -> JSONValue {
        guard var object = schema.object else { return schema }
        let keywords = ["$defs", "definitions", "$schema", "$ref", "if", "then", "else"]
        switch Int.random(in: 0..<4, using: &schemas.random) {
        case 0:
            // What has neighbours that depend on it stays.
            let places = object.members.indices.filter { place in
                let name = object.members[place].name
                return !keywords.contains(name) && !name.hasSuffix("roperties") && !name.lowercased().hasSuffix("items")
                    && !name.hasSuffix("ontains")
            }
            if let place = places.randomElement(using: &schemas.random) { object.members.remove(at: place) }
        case 1:
            let outer = object.members.filter { ["$defs", "definitions", "$schema"].contains($0.name) }
            let inner = object.members.filter { !["$defs", "definitions", "$schema"].contains($0.name) }
            object = JSONObject(outer + [.init(name: "anyOf", value: [schemas.schema(1), .object(JSONObject(inner))])])
        case 2:
            if let types = object["type"] {
                object["type"] = .array(
                    (types.array ?? [types]).filter { $0 != "null" && $0 != "number" } + ["null", "number"])
            }
        default:
            for (keyword, value) in [("maxLength", 9), ("maxItems", 9), ("minLength", 0), ("minItems", 0)]
                as [(String, JSONValue)]
            where object[keyword] != nil { object[keyword] = value }
        }
        return .object(object)
    }

    @Test(arguments: [false, true])
    func relaxedSchemaIsCompatible(isOld: Bool) throws {
        var (count, refused) = (0, 0)
        for seed in 0..<Self.schemas {
            var schemas = RandomSchemas(seed: UInt64(seed) + 2_000_000)
            schemas.isOld = isOld
            let schema = schemas.document(3)
            let other = relaxed(schema, &schemas)
            guard (try? JSONSchema(schema)) != nil, (try? JSONSchema(other)) != nil else { continue }
            count += 1
            let breaks = SchemaComparison(reader: other, writer: schema, policy: .strict).breaks
            if !breaks.isEmpty {
                refused += 1
                note(
                    "\(schema.compactText)\n  → \(other.compactText)\n  "
                        + breaks.map(\.description).joined(separator: "\n  "))
            }
        }
        note("\(refused) of \(count) relaxed schemas are called incompatible")
        #expect(count > Self.schemas / 2 && refused * 100 <= count * 2)
    }
}

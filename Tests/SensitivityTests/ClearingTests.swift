import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import EventLog
import SchemaRegistry
import Sensitivity
import Testing

/// What may be seen of batches.
struct ClearingTests {
    private let schemas = SampleSchemas()
    private let people = RelationVersion(
        id: 1, relation: relation("people", "id", "email", "card"), subject: "shop.public.people", version: 1)
    private static let salt = Array("a salt of some length".utf8)

    private func clearing(
        _ highest: SensitivityClass, _ masks: [SensitivityClass: ColumnMask] = [:],
        unclassified: SensitivityClass = .internal, salt: [UInt8]? = salt
    ) throws -> Clearing {
        try Clearing(
            Clearance(highest), rules: SensitivityRules(unclassified: unclassified, masks: masks, salt: salt),
            schemas: schemas.folder)
    }

    private func person(_ id: String, _ email: String?, _ card: String?) -> SampleChange {
        SampleChange(after: [id, email, card])
    }

    @Test func aClassOfWhatIsNoColumnIsWarnedOf() throws {
        try schemas.write("shop.public.people", 1, ["email": "restricted", "Card": "restricted"])
        let rules = SensitivityRules(salt: Self.salt)
        func codes(_ columns: [String: Set<String>]) -> [String] {
            rules.findings(of: "shop", schemas.folder, sinks: [], columns: columns).map(\.code)
        }
        let columns: Set<String> = ["id", "email", "card"]
        #expect(codes(["shop.public.people": columns]) == ["sensitivity.unmatched"])
        #expect(codes(["shop.public.people": columns.union(["Card"])]).isEmpty)
        #expect(codes([:]).isEmpty)
    }

    @Test func aBatchInWhichNothingIsHiddenIsTheSameObject() throws {
        try schemas.write("shop.public.people", 1, ["email": "internal"])
        let batch = try logged([person("1", "ada", "c")], [people])
        var usual = try clearing(.internal)
        let cleared = try usual.apply(to: batch)
        #expect(cleared.logged.batch === batch.batch && cleared.logged.versions[0] === people)
        // Who may see everything needs no schema.
        let other = RelationVersion(id: 2, relation: people.relation, subject: "shop.public.gone", version: 9)
        var everything = try clearing(.restricted)
        #expect(try everything.apply(to: logged([person("1", "a", "c")], [other])).logged.versions[0] === other)
        #expect(throws: ConnectorFailure.self) { _ = try usual.apply(to: logged([person("1", "a", "c")], [other])) }
    }

    @Test func columnsAreMaskedByTheirClassAndKeysAreHashed() throws {
        try schemas.write(
            "shop.public.people", 1, ["id": "restricted", "email": "confidential", "card": "restricted"])
        var clearing = try clearing(.internal, [.confidential: .redact])
        let batch = try logged(
            [
                person("1", "ada", "card-1"), person("2", nil, nil), person("1", "~", "~"),
                SampleChange(operation: .update, before: ["1", "ada", "c"], after: ["3", "~", "~"]),
                SampleChange(operation: .delete, before: ["3", "ada", "c"]), SampleChange(operation: .truncate),
            ], [people])
        let cleared = try clearing.apply(to: batch)
        #expect(cleared.logged.firstOffset == 5 && cleared.logged.nextOffset == batch.nextOffset)
        for format in [EventFormat.cloudEvents, .row] {
            let lines = try lines(cleared, format)
            #expect(lines.count == 6)
            for line in lines { #expect(!line.contains("ada") && !line.contains("card"), "\(line)") }
        }
        let events = try lines(cleared)
        #expect(events[0].contains(#""email":"[redacted]"}"#) && events[1].contains(#""email":"[redacted]"}"#))
        #expect(events[2].contains(#""unchanged":["email"]"#))
        #expect(subject(events[0]) == subject(events[2]) && subject(events[0]) != subject(events[1]))
        #expect(
            subject(events[0])?.count == 64
                && events[3].contains("\"previous_key\":{\"id\":\"\(subject(events[0]) ?? "-")\"}"))
        #expect(events[0].contains("\"dataschema\":\"/subjects/shop.public.people/versions/1\""))
    }

    private func subject(_ event: String) -> String? {
        event.firstRange(of: "\"subject\":\"").map { String(event[$0.upperBound...].prefix { $0 != "\"" }) }
    }

    @Test func recordsOfDebeziumHideInKeysHeadersAndTombstonesToo() throws {
        try schemas.write(
            "shop.public.people", 1, ["id": "restricted", "email": "confidential", "card": "restricted"])
        var clearing = try clearing(.internal, [.confidential: .redact])
        let batch = try logged(
            [
                person("id-1", "ada", "card-1"),
                SampleChange(operation: .update, before: ["id-1", "ada", "card-1"], after: ["id-3", "~", "~"]),
                SampleChange(operation: .delete, before: ["id-3", "ada", "card-1"]),
            ], [people])
        let cleared = try clearing.apply(to: batch)
        for lines in DebeziumOptions.Lines.allCases {
            for form in [RecordForm.line, .binary] {
                var options = DebeziumOptions()
                (options.lines, options.hasSchemas) = (lines, true)
                let encoder = ClearedEncoder(
                    pipelineName: "shop", sourceKind: "postgres", format: .debezium, form: form, debezium: options)
                let records = try encoder.encode(cleared, from: 0, bytesMax: 1 << 20) { _ in true }.records
                // Everything that a sink is given: payloads, keys, headers and what stands between them.
                let everything = ByteRange(offset: 0, length: UInt32(records.body.count))
                let text = String(validatingUTF8: records.bytes(everything)) ?? ""
                for word in ["ada", "card-1", "id-1", "id-3"] { #expect(!text.contains(word), "\(word) in \(text)") }
                #expect(text.contains("[redacted]"))
                let count = form == .binary || lines == .record ? 6 : lines == .value ? 4 : 3
                #expect(records.records.count == count)
                let keys = Set(records.records.map { String(validatingUTF8: records.bytes($0.keyDocument)) ?? "" })
                #expect(form == .binary ? keys.count == 2 && !keys.contains("") : keys == [""])
            }
        }
    }

    @Test func aClassThatIsRaisedHoldsForTheNextBatch() throws {
        try schemas.write("shop.public.people", 1, ["id": "internal"])
        var clearing = try clearing(.internal)
        let batch = try logged([person("1", "ada", "c")], [people])
        #expect(try lines(clearing.apply(to: batch))[0].contains("ada"))
        try schemas.write("shop.public.people", 2, ["email": "confidential"])
        #expect(try !lines(clearing.apply(to: batch))[0].contains("ada"))
        try schemas.write("shop.public.people", 3, ["email": "public"])
        #expect(try !lines(clearing.apply(to: batch))[0].contains("ada"), "it was confidential after the event")
    }

    @Test func whatAnApplicationSaysIsHiddenWithWhatNobodyClassified() throws {
        let batch = try logged([person("1", "ada", "c")], [people])
        try schemas.write("shop.public.people", 1, ["id": "public", "email": "public", "card": "public"])
        var strangers = try clearing(.public)
        let line = try lines(strangers.apply(to: batch))[0]
        #expect(!line.contains("tenant") && line.contains("ada"))
        var trusting = try clearing(.public, unclassified: .public)
        #expect(try trusting.apply(to: batch).logged.batch === batch.batch)
        var strict = try clearing(.confidential, unclassified: .restricted)
        #expect(try !lines(strict.apply(to: batch))[0].contains("tenant"))
    }

    @Test func twoRelationsOfTheSourceMayBeOneInTheLog() throws {
        try schemas.write("shop.public.people", 1, ["email": "restricted"])
        let other = RelationVersion(
            id: 2, relation: relation("other", "id"), subject: "shop.public.other", version: 0)
        let twin = relation("people", "id", "email", "card")
        let batch = try logged(
            [
                person("1", "ada", "c"), SampleChange(relation: 1, after: ["2", "bob", "d"]),
                SampleChange(relation: 2, after: ["3"]),
            ], [people, people, other], relations: [people.relation, twin, other.relation])
        var clearing = try clearing(.internal)
        let lines = try lines(clearing.apply(to: batch))
        #expect(lines.count == 3 && lines.allSatisfy { !$0.contains("ada") && !$0.contains("bob") })
        #expect(lines[1].contains(#""card":"d""#) && lines[2].contains("shop.public.other"), "\(lines)")
    }

    @Test func aSaltIsNeededForHashesOnly() throws {
        try schemas.write("shop.public.people", 1, ["email": "restricted"])
        let batch = try logged([person("1", "ada", "c")], [people])
        var dropping = try clearing(.internal, salt: nil)
        #expect(try !lines(dropping.apply(to: batch))[0].contains("ada"))
        var hashing = try clearing(.internal, [.restricted: .hash], salt: nil)
        #expect(throws: ConnectorFailure.self) { _ = try hashing.apply(to: batch) }
    }

    private static let route = OutboxRoute(
        id: 1, type: 2, aggregateType: 3, aggregateID: 4, payload: 5,
        attributes: [.init(name: "trace", column: 6), .init(name: "kept", column: 7)], content: .json)

    @Test(arguments: [ColumnMask.drop, .redact, .hash, .truncate(2)])
    func rowsOfAnOutboxStayEvents(_ mask: ColumnMask) throws {
        let columns = ["number", "id", "type", "kind", "thing", "payload", "trace", "kept", "more"]
        let table = relation(
            "outbox", "number", "id", "type", "kind", "thing", "payload", "trace", "kept", "more", outbox: Self.route)
        let version = RelationVersion(id: 3, relation: table, subject: "shop.public.outbox", version: 0)
        let batch = try logged(
            [SampleChange(after: columns.map { $0 == "payload" ? #"{"secret": 1}"# : "secret-\($0)" })], [version])
        let hidden = columns.filter { $0 != "kept" }
        try schemas.write(
            "shop.public.outbox", 1, Dictionary(uniqueKeysWithValues: hidden.map { ($0, "restricted") }))
        var clearing = try clearing(.internal, [.restricted: mask])
        let cleared = try clearing.apply(to: batch)
        for format in [EventFormat.cloudEvents, .row] {
            let line = try #require(try lines(cleared, format).first)
            #expect(!line.replacing("secret-kept", with: "").contains("secret"), "\(line)")
            #expect(line.contains(#""kept":"secret-kept""#), "\(line)")
        }
        let line = try lines(cleared)[0]
        #expect(line.contains(#""trace":"#) == (mask != .drop), "\(line)")
        #expect(line.contains(#""data":"#) == (mask != .drop), "\(line)")
        let (type, topic) = mask == .hash ? (nil, nil) : ("[redacted]", "outbox.event.[redacted]")
        if let type { #expect(line.contains("\"type\":\"\(type)\""), "\(line)") }
        let row = try lines(cleared, .row)[0]
        if let topic { #expect(row.contains("\"_topic\":\"\(topic)\""), "\(row)") }
        #expect(subject(line)?.count == 64)
    }
}

import ByteKit
import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventFormat
import Foundation
import JSONText
import Testing

/// Judges each line with the schema, formats included.
private let validate = """
    import json, sys
    import jsonschema
    schema = json.load(open(sys.argv[2], encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    count = 0
    for line in open(sys.argv[1], "rb").read().split(b"\\n")[:-1]:
        errors = [e.json_path + ": " + e.message for e in validator.iter_errors(json.loads(line))]
        if errors: sys.exit(str(count) + ": " + "; ".join(errors) + " in " + line.decode())
        count += 1
    print(count)
    """

/// Reads each line strictly and finds members that come twice.
private let parse = """
    import json, sys
    def members(pairs):
        names = [name for name, _ in pairs]
        if len(names) != len(set(names)): sys.exit("twice: " + repr(names))
        return dict(pairs)
    def refuse(constant): sys.exit("no JSON: " + constant)
    lines = open(sys.argv[1], "rb").read().split(b"\\n")[:-1]
    for line in lines: json.loads(line.decode("utf-8"), object_pairs_hook=members, parse_constant=refuse)
    print(len(lines))
    """

/// Events of many relations and changes.
private func randomEvents(_ format: EventFormat, seed: UInt64, relations: Int) throws -> [String] {
    var random = RandomChanges(dice: SeededGenerator(seed: seed))
    return try (0..<relations).flatMap { number in
        let relation = random.relation()
        let changes = (0..<8).map { _ in random.change(of: relation) }
        let source = number % 2 == 0 ? "postgres" : "sqlite"
        return try encode(
            changes, of: relation, format: format, source: source,
            transactionID: number % 2 == 0 ? random.dice.next() | 1 : 0
        ).lines
    }
}

@Suite struct EventValidityTests {
    @Test func cloudEventsFitTheEnvelopeSchema() throws {
        let schema = Python.root.appending(path: "Schemas/event-envelope.schema.json").path
        let events = try randomEvents(.cloudEvents, seed: 1, relations: 300)
        #expect(try Python.run(validate, lines: events, arguments: [schema]) == "\(events.count)\n")
    }

    /// Messages, boundaries of transactions, and events with what the application said about the transaction.
    private func specialEvents() throws -> [String] {
        let context =
            #"{"correlationid":"c 1","causationid":"k","traceparent":"\#(MessageEventTests.traceParent)","#
            + #""tracestate":"k=v","abcdefghij0123456789":"x"}"#
        let tables: SampleValue = #"[{"schema":"public","table":"t","events":3}]"#
        var lines: [String] = []
        for context in ["", context] {
            lines += try encode([.insert(["42", "new", nil]), .truncate], of: orders, context: context).lines
            lines += try encode(
                [.message("app", "x"), .message("", .blob([0]))], of: messages, context: context
            ).lines
            lines += try encode([.message("app", "x")], of: messages, transactionID: 0).lines
            lines += try encode(
                [.boundary(.begin)], of: transactions, firstOrdinal: ChangeIdentity.beginOrdinal, context: context
            ).lines
            lines += try encode(
                [.boundary(.commit, changes: "4", events: "3", tables: tables)], of: transactions,
                firstOrdinal: ChangeIdentity.commitOrdinal, context: context
            ).lines
        }
        return lines
    }

    @Test func messagesBoundariesAndContextsFitTheEnvelopeSchema() throws {
        let schema = Python.root.appending(path: "Schemas/event-envelope.schema.json").path
        let events = try specialEvents()
        #expect(try Python.run(validate, lines: events, arguments: [schema]) == "\(events.count)\n")
        #expect(try Python.run(parse, lines: events) == "\(events.count)\n")
        let wrongs: [(Int, String, String)] = [
            (7, #""correlationid":"c 1""#, #""correlationid":"""#), (7, #""correlationid":"#, #""correlation_id":"#),
            (7, #""correlationid":"c 1""#, #""correlationid":7"#), (7, #""traceparent":"00"#, #""traceparent":"zz"#),
            (2, #""op":"message""#, #""op":"begin""#), (2, "pg_logical", "public"),
            (2, #"{"prefix":"app"},"#, "null,"),
            (5, #""position":null"#, #""position":1"#), (6, "-7FFFFFFF", ""), (5, #""tables":null"#, #""t":null"#),
            (0, #""position":10"#, #""position":null"#),
        ]
        for (index, part, other) in wrongs {
            let wrong = events[index].replacing(part, with: other)
            #expect(wrong != events[index])
            #expect(throws: Python.Failure.self, "\(part)") {
                try Python.run(validate, lines: [wrong], arguments: [schema])
            }
        }
    }

    @Test func envelopeSchemaRefusesWhatIsNoEvent() throws {
        let schema = Python.root.appending(path: "Schemas/event-envelope.schema.json").path
        let event = try #require(try encode([.insert(["42", "new", nil])], of: orders).lines.first)
        for (part, other) in [
            (#""op":"insert""#, #""op":"upsert""#), (#""unchanged":[]"#, #""unchanged":[],"extra":1"#),
            (#""specversion":"1.0","#, ""), (#""after":{"#, #""after":null,"unknown":{"#),
            (#""position":10"#, #""position":-1"#), (#""partitionkey":"42","#, ""), (#""0/16B3748""#, #""0""#),
        ] {
            let wrong = event.replacing(part, with: other)
            #expect(wrong != event)
            #expect(throws: Python.Failure.self) { try Python.run(validate, lines: [wrong], arguments: [schema]) }
        }
    }

    @Test(arguments: EventFormat.allCases.filter { $0 != .csv })
    func everyEventIsJSONToOthers(_ format: EventFormat) throws {
        let events = try randomEvents(format, seed: 2, relations: 300)
        // A key that changes makes two lines of Debezium's.
        #expect(format == .debezium ? events.count > 2400 : events.count == 2400)
        #expect(try Python.run(parse, lines: events) == "\(events.count)\n")
    }

    @Test(arguments: EventFormat.allCases.filter { $0 != .csv })
    func everyEventIsJSONToUs(_ format: EventFormat) throws {
        for event in try randomEvents(format, seed: 3, relations: 300) {
            let value = try JSONValue(parsing: event)
            #expect(value.compactText == event)
            #expect(value.object?.repeatedNames == [])
        }
    }

    /// Whatever happens to the bytes of a tuple: a failure or a value, and the value is JSON.
    @Test(arguments: EventFormat.allCases.filter { $0 != .csv })
    func mutatedTupleIsAFailureOrAnEvent(_ format: EventFormat) throws {
        var random = RandomChanges(dice: SeededGenerator(seed: 4))
        var (events, failures) = (0, 0)
        for _ in 0..<4000 {
            let relation = random.relation()
            var change = random.change(of: relation)
            mutate(&change.before, &random.dice)
            mutate(&change.after, &random.dice)
            do {
                for line in try encode([change], of: relation, format: format).lines {
                    let value = try JSONValue(parsing: line)
                    #expect(value.compactText == line)
                    events += 1
                }
            } catch is EncodingFailure {
                failures += 1
            }
        }
        #expect(events > 500 && failures > 500)
    }

    @Test func everyPrefixOfATupleIsAFailure() throws {
        let whole = tuple(["42", "new", .blob([1, 2, 3])])
        for length in 1..<whole.count {
            let change = SampleChange(operation: .insert, after: Array(whole.prefix(length)))
            #expect(throws: EncodingFailure.self) { try encode([change], of: orders) }
        }
        let longer = SampleChange(operation: .insert, after: whole + [0])
        #expect(throws: EncodingFailure.self) { try encode([longer], of: orders) }
    }

    private func mutate(_ bytes: inout [UInt8], _ dice: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        switch dice.below(4) {
        case 0: bytes[dice.below(bytes.count)] = UInt8(truncatingIfNeeded: dice.next())
        case 1: bytes[dice.below(bytes.count)] ^= 1 << UInt8(dice.below(8))
        case 2: bytes.removeLast(dice.below(bytes.count))
        default: bytes.insert(UInt8(truncatingIfNeeded: dice.next()), at: dice.below(bytes.count))
        }
    }
}

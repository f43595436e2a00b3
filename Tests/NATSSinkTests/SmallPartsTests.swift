import ByteKit
import ConnectorKit
import ConnectorTesting
import ProgramTesting
import Testing

@testable import NATSSink

/// The parts of the sink that need no server.
struct SmallPartsTests {
    @Test func topicsThatAreWholeAreTheSubjectAndTheStreamTakesTheirPrefix() throws {
        let values = SettingValues(["servers": .list(["localhost"])])
        let whole = try NATSSettings(values: values, pipelineName: "shop", topics: .whole(prefix: "a.b c"))
        #expect(whole.subject.text == "{topic}" && whole.subject.pattern.text == "a.b%20c.>")
        #expect(whole.subject.subject(Topic(schema: "s", table: "t", routed: "a.b.s.t"), key: "") == "a.b.s.t")
        try whole.checkNewStream()
        let open = try NATSSettings(values: values, pipelineName: "shop", topics: .whole(prefix: nil))
        #expect(open.subject.pattern.text == ">")
        #expect(throws: SettingProblem.self) { try open.checkNewStream() }
        var named = values
        named["subject"] = .text("x.{topic}")
        let front = try NATSSettings(values: named, pipelineName: "shop", topics: .whole(prefix: "a"))
        #expect(front.subject.pattern.text == "x.a.>")
        #expect(try NATSSettings(values: values, pipelineName: "shop").subject.pattern.text == "shop.>")
    }

    @Test func aWindowHoldsNoBatchThatIsStored() {
        struct Held { weak var batch: RecordBatch? }
        var window = FlightWindow(durableBefore: 0, floor: 0)
        var taken: [Held] = []
        var heldMax = 0
        for number in 0..<600 {
            let batch = numbered(number..<(number + 1))
            taken.append(Held(batch: batch))
            window.append(FlightWindow.Entry(batch: window.beginBatch(batch, subjects: []), index: 0, size: 20))
            // Three wait for their answers at a time.
            if number >= 3 { window.setStored(number - 3, UInt64(number)) }
            window.advance()
            heldMax = max(heldMax, taken.count { $0.batch != nil })
        }
        #expect(window.entries.count == 3 && heldMax <= 8, "\(heldMax)")
    }

    @Test func theCursorPassesAnEventOfSeveralRecordsWholeAndNotAfterTheFirst() {
        var window = FlightWindow(durableBefore: 0, floor: 0)
        // A change of a key, as Debezium has it: the end of one row, and the beginning of another.
        let parts = numbered(0..<3)
        var records = parts.records
        records[2].offset = 1
        let batch = RecordBatch(body: parts.body, records: records, topics: parts.topics, nextOffset: 2)
        let number = window.beginBatch(batch, subjects: [])
        for index in 0..<3 { window.append(FlightWindow.Entry(batch: number, index: index, size: 20)) }
        window.setStored(0, 11)
        window.setStored(1, 12)
        window.advance()
        #expect(window.durableBefore == 1 && window.floor == 11)
        window.setStored(2, 13)
        window.advance()
        #expect(window.durableBefore == 2 && window.floor == 13)
    }

    // MARK: Settings

    private func problem(_ more: [String: SettingValue], servers: [String] = ["h"]) -> SettingProblem? {
        do throws(SettingProblem) {
            var values = SettingValues(["servers": .list(servers)])
            for (name, value) in more { values[name] = value }
            _ = try NATSSettings(values: values, pipelineName: "shop")
            return nil
        } catch {
            return error
        }
    }

    @Test func settingsThatMakeNoSenseAreNamed() {
        let cases: [([String: SettingValue], String)] = [
            (["stream": .text("a.b")], "stream"), (["stream": .text("")], "stream"),
            (["user": .text("a")], "user"), (["nkey_seed": .text("SU")], "nkey_seed"),
            (["user": .text("a"), "password": .text("b"), "token": .text("c")], "token"),
            (["ack_timeout": .duration(.milliseconds(1))], "ack_timeout"),
            (["max_in_flight_size": .size(0)], "max_in_flight_size"),
            (["tls": .group(SettingValues(["key": .text("k")]))], "tls"),
            (
                ["new_stream": .group(SettingValues(["duplicate_window": .duration(.seconds(1))]))],
                "new_stream.duplicate_window"
            ),
        ]
        for (values, setting) in cases { #expect(problem(values)?.setting == setting, "\(values)") }
        #expect(problem([:]) == nil)
        #expect(problem([:], servers: [])?.setting == "servers")
    }

    @Test func addressesAreRead() throws {
        let cases: [(String, String, UInt16, Bool)] = [
            ("nats://nats.example:4223", "nats.example", 4223, false),
            ("tls://nats.example", "nats.example", 4222, true),
            ("localhost", "localhost", 4222, false), ("nats://[::1]:5/", "::1", 5, false),
            ("10.0.0.1:9", "10.0.0.1", 9, false),
        ]
        for (text, host, port, isSecure) in cases {
            let address = try ServerAddress(text, setting: "servers[0]")
            #expect(address.host == host && address.port == port && address.isSecure == isSecure, "\(text)")
        }
        for text in ["", "http://h", "h:0", "h:70000", "h:x", "[::1", "[::1]x", "a b", "h/path", "h,i", "ws://h"] {
            #expect(problem([:], servers: [text])?.setting == "servers[0]", "\(text)")
        }
        let secret = problem([:], servers: ["nats://user:hunter2@h"])
        #expect(secret?.hint?.contains("password:") == true && secret?.message.contains("hunter2") == false)
    }

    // MARK: Subjects

    @Test func subjectsThatCannotBePublishedToAreRefused() {
        for text in ["", "a..b", ".a", "a.", "a b", "a.*", "a.>", "$JS.{table}", "{nothing}", "{table", "a}"] {
            #expect(problem(["subject": .text(text)])?.setting == "subject", "\(text)")
        }
    }

    @Test func namesFromTheDatabaseStayInTheirTokens() throws {
        let template = try SubjectTemplate("{name}.x-{schema}.{table}", pipelineName: "shop")
        #expect(template.subject(Topic(schema: "a.b", table: "> *"), key: "") == "shop.x-a%2Eb.%3E%20%2A")
        #expect(template.pattern.text == "shop.*.*")
        let topics = try SubjectTemplate("{name}.{topic}", pipelineName: "shop")
        #expect(topics.subject(Topic(schema: "a.b", table: "c"), key: "") == "shop.a%2Eb.c")
        let routed = Topic(schema: "s", table: "t", routed: "outbox.event..Ord er")
        #expect(topics.subject(routed, key: "") == "shop.outbox.event.%.Ord%20er")
        #expect(topics.pattern.text == "shop.>")
        #expect(try SubjectTemplate("a.{topic}.b", pipelineName: "shop").pattern.text == "a.>")
        let long = SubjectTemplate.token(String(repeating: "é.", count: 400))
        #expect(long.utf8.count <= SubjectTemplate.tokenBytesMax && long.contains("%~"))
        #expect(long != SubjectTemplate.token(String(repeating: "é.", count: 401)))
    }

    @Test func patternsOverlapAndCoverAsSubjectsDo() {
        let cases: [(String, String, overlaps: Bool, covers: Bool)] = [
            ("a.>", "a.*.*", true, true), ("a.*", "a.>", true, false), ("a.b", "a.*", true, false),
            ("a.b", "a.c", false, false),
            ("a.*.c", "*.b.c", true, false), ("a", "a.>", false, false), (">", "a", true, true),
            ("a.b.c", "a.b", false, false),
            ("*.*", "a.b", true, true), ("a.>", ">", true, false),
        ]
        for (one, other, overlaps, covers) in cases {
            #expect(SubjectPattern(one).overlaps(SubjectPattern(other)) == overlaps, "\(one) \(other)")
            #expect(SubjectPattern(other).overlaps(SubjectPattern(one)) == overlaps, "\(other) \(one)")
            #expect(SubjectPattern(one).covers(SubjectPattern(other)) == covers, "\(one) \(other)")
        }
    }

    // MARK: What the server says

    private func answer(_ bytes: [UInt8]) -> PublishAnswer { PublishAnswer(bytes.rawBytes) }
    private func message(_ bytes: [UInt8]) -> StoredMessage? { StoredMessage(bytes.rawBytes) }

    @Test func answersAreRead() {
        let cases: [(String, PublishAnswer)] = [
            (#"{"stream":"S","seq":7}"#, .stored(sequence: 7)),
            (#"{"stream":"S", "seq": 8,"domain":"d","duplicate":true}"#, .stored(sequence: 8)),
            (
                #"{"error":{"code":400,"err_code":10071,"description":"wrong \"seq\":5"},"stream":"S","seq":0}"#,
                .refused(code: 10_071)
            ),
            ("{}", .unreadable), ("", .unreadable), (#"{"error":{}}"#, .unreadable), (#"{"seq":"#, .unreadable),
            (#"{"seq":99999999999999999999999}"#, .unreadable),
        ]
        for (text, answer) in cases { #expect(self.answer(Array(text.utf8)) == answer, "\(text)") }
    }

    @Test func storedMessagesAreReadAndNoBytesTrap() throws {
        // NATS/1.0, Nats-Msg-Id: a, Xnats: b
        let headers = "TkFUUy8xLjANCk5hdHMtTXNnLUlkOiBhDQpYbmF0czogYg0KDQo="
        let json = #"{"type":"t","message":{"subject":"s","seq":12,"hdrs":"\#(headers)","time":"x"}}"#
        let bytes = Array(json.utf8)
        let read = try #require(message(bytes))
        #expect(read.sequence == 12 && read.id == Array("a".utf8))
        for length in 0..<bytes.count { _ = message(Array(bytes[..<length])) }
        for place in bytes.indices {
            var changed = bytes
            for byte in [UInt8(0), 34, 92, 255] {
                changed[place] = byte
                _ = message(changed)
                _ = answer(changed)
            }
        }
    }

    @Test func statesAreReadAndNothingElse() throws {
        let state = SinkState(cursor: 1, floor: .max, streamCreated: -5)
        #expect(try SinkState(decoding: state.encoded) == state)
        // A state of the first version: what was skipped then is not known.
        let skipping = SinkState(cursor: 1, floor: .max, streamCreated: -5, hasSkips: true)
        #expect(try SinkState(decoding: skipping.encoded) == skipping)
        #expect(try SinkState(decoding: [1] + state.encoded.dropFirst(2)) == skipping)
        // Programs of the second version read what has no beginning, and refuse what has one.
        let anew = SinkState(cursor: 1, floor: .max, streamCreated: -5, beginning: 7)
        #expect(try SinkState(decoding: anew.encoded) == anew)
        #expect(state.encoded.first == 2 && anew.encoded.first == 3)
        for encoded in [state.encoded, anew.encoded] {
            for length in encoded.indices {
                #expect(throws: ConnectorFailure.self) { try SinkState(decoding: Array(encoded[..<length])) }
            }
            #expect(throws: ConnectorFailure.self) { try SinkState(decoding: encoded + [0]) }
        }
    }

    @Test func theIDOfAMessageIsThatOfAnEventAndOfABeginning() {
        for (id, event, beginning) in [("a again=1", "a%20again=1", UInt64(0)), ("a", "a", 1), ("a;b", "a;b", .max)] {
            var text = OutputBuffer(capacity: 16)
            text.append(messageID: Array(id.utf8).rawBytes, since: beginning)
            let value = unsafe text.bytes.withUnsafeBytes { unsafe Array($0) }
            #expect(value.count <= event.utf8.count + MessageID.addedBytesMax)
            #expect(MessageID(value) == MessageID(event: Array(event.utf8), beginning: beginning))
        }
        // What others write.
        for text in ["a again=", "a again=x", "a again=99999999999999999999", "a b", "a again=1 ", " again"] {
            #expect(MessageID(Array(text.utf8)) == MessageID(event: Array(text.utf8), beginning: 0), "\(text)")
        }
    }

    @Test func theTailKnowsEventsOfABeginningAndOfLaterOnes() {
        var tail = StreamTail()
        for (place, id) in ["a", "a again=5", "a again=5", "b", "c again=7", "a"].enumerated() {
            tail.insert(Array(id.utf8), UInt64(place))
        }
        #expect(tail.take(Array("b".utf8), since: 5) == .nothing)
        #expect(tail.take(Array("c".utf8), since: 5) == .later)
        #expect(tail.take(Array("a".utf8), since: 5) == .stored(1))
        #expect(tail.take(Array("a".utf8), since: 5) == .nothing && tail.isEmpty)
    }

    // MARK: The window

    /// Answers in any order, refusals and all: the front moves behind what is stored and nothing else, and whatever is
    /// stored behind it lies above the floor.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func theFrontMovesBehindWhatIsStored(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var window = FlightWindow(durableBefore: 0, floor: 100)
        var onTheirWay: [UInt64] = []
        var stored: [Int: UInt64] = [:]
        var sequence: UInt64 = 100
        let count = 300
        var taken = 0
        while window.durableBefore < UInt64(count) {
            let waiting = window.entries.numbers.filter { window.entries[$0].standing == .waiting }
            switch Int.random(in: 0..<4, using: &random) {
            case 0 where taken < count:
                let size = min(Int.random(in: 1...9, using: &random), count - taken)
                let batch = window.beginBatch(numbered(taken..<(taken + size)), subjects: [])
                for index in 0..<size { window.append(.init(batch: batch, index: index, size: 10)) }
                taken += size
            case 1:
                if let number = waiting.first { onTheirWay.append(window.send(number, at: .now)) }
            default:
                guard let place = onTheirWay.indices.randomElement(using: &random) else { continue }
                let message = onTheirWay.remove(at: place)
                guard let number = window.takeAnswer(message) else { continue }
                #expect(window.takeAnswer(message) == nil)
                if Int.random(in: 0..<5, using: &random) == 0 {
                    window.setWaiting(number)
                } else {
                    sequence += UInt64.random(in: 1...3, using: &random)
                    stored[number] = sequence
                    window.setStored(number, sequence)
                }
            }
            window.advance()
            let front = stored.keys.sorted().enumerated().prefix { $0 == $1 }.count
            #expect(window.durableBefore == UInt64(front))
            for (number, sequence) in stored where number >= front { #expect(sequence > window.floor) }
            #expect(window.inFlightCount == onTheirWay.count && window.inFlightBytes == onTheirWay.count * 10)
        }
        #expect(window.isEmpty && window.batches.isEmpty)
    }
}

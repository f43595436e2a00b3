import ByteKit
import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

struct MessageDecoderTests {
    private typealias Wire = WireBytes

    private final class Announcements: RelationSource {
        var problems: [ContextProblem] = []
        func ignored(_ context: ContextProblem) { problems.append(context) }
        func currentNames(of tables: [UInt32]) throws(ConnectorFailure) -> [UInt32: CurrentName] { [:] }
        func relation(for message: RelationMessage) throws(ConnectorFailure) -> Relation? {
            if message.relationName == "hidden" { return nil }
            return Relation(
                sourceID: message.relationID, schema: message.namespace, name: message.relationName,
                columns: message.columns.map { Column(name: $0.name, type: .text, typeName: "text") })
        }
    }

    private static let tables =
        Wire.xlog(Wire.relation(7, "t", columns: [("id", 23, true)]))
        + Wire.xlog(Wire.relation(8, "hidden", columns: [("id", 23, true)]))
        + Wire.xlog(Wire.relation(9, "u", columns: [("id", 23, true)]))

    private static func row(_ id: UInt32 = 7, _ text: String = "1") -> [UInt8] {
        Wire.xlog(Wire.insert(id, [.text(text)]))
    }

    private static func message(_ prefix: String, _ content: String = "m") -> [UInt8] {
        Wire.xlog(Wire.message(prefix, content))
    }

    private static func transaction(_ commit: UInt64, _ parts: [[UInt8]]) -> [UInt8] {
        Wire.xlog(Wire.begin(commit)) + parts.flatMap { $0 } + Wire.xlog(Wire.commit(commit, end: commit + 20))
    }

    /// Everything that a stream becomes, in one batch.
    private func decode(
        _ stream: [UInt8], _ choice: MessageChoice, after checkpoint: SourceCheckpoint? = nil,
        _ announcements: Announcements = Announcements()
    ) throws -> ChangeBatch {
        var decoder = ChangeDecoder(
            progress: ReplicationProgress(after: checkpoint, slotPosition: LSN(50), notes: SourceNotes()), slot: "s",
            checksText: false,
            choice: choice)
        _ = try decoder.consume(
            (Self.tables + stream).rawBytes, byteLimit: 1 << 20, relations: announcements)
        return try decoder.seal()
    }

    private func choice(_ prefixes: [String] = [], marks: Bool = false) -> MessageChoice {
        var choice = MessageChoice()
        choice.prefixes = prefixes.map { TablePattern($0) }
        choice.marksTransactions = marks
        return choice
    }

    @Test func everyMessageOfATransactionTakesAnOrdinalCapturedOrNot() throws {
        let stream = Self.transaction(
            100,
            [
                Self.message("audit"), Self.row(), Self.message("other"), Self.message("millrace", "mark"),
                Self.message("millrace.context", "{}"), Self.row(8), Self.row(),
            ])
        let plain = try decode(stream, choice())
        #expect(plain.seen.map(\.identity.ordinal) == [1, 6])
        let captured = try decode(stream, choice(["*"]))
        #expect(captured.seen.map(\.identity.ordinal) == [0, 1, 2, 6])
        #expect(captured.seen.map(\.operation) == [.message, .insert, .message, .insert])
        #expect(captured.seen[0].table == "pg_logical.message")
        #expect(captured.seen[0].after == ["audit", "m"])
        #expect(try decode(stream, choice(["au*"])).seen.map(\.identity.ordinal) == [0, 1, 6])
    }

    @Test func aMessageOutsideOfTransactionsHasItsOwnPositionAsIdentity() throws {
        let stream =
            Self.transaction(100, [Self.row()]) + Wire.xlog(Wire.message("a", "x", at: 300))
            + Wire.xlog(Wire.message("b", "y", at: 400)) + Self.transaction(500, [Self.row()])
        let batch = try decode(stream, choice(["a"]))
        #expect(batch.seen.map(\.identity.commit) == [100, 299, 500])
        #expect(batch.seen[1].transaction.id == 0)
        #expect(batch.seen[1].identity.ordinal == 0)
        let onlyMessages = try decode(Wire.xlog(Wire.message("b", "y", at: 400)), choice(["a"]))
        #expect(onlyMessages.changeCount == 0)
        #expect(onlyMessages.checkpoint?.resume == ResumePosition(400))
        let checkpoint = SourceCheckpoint(
            last: ChangeIdentity(commit: 299, ordinal: 0), resume: ResumePosition(60))
        #expect(try decode(stream, choice(["*"]), after: checkpoint).seen.map(\.identity.commit) == [399, 500])
    }

    @Test func aMessageWhereItMayNotStandIsAnError() {
        for stream in [
            Self.message("a"), Wire.xlog(Wire.begin(100)) + Wire.xlog(Wire.message("a", "x", at: 300)),
        ] {
            #expect { try decode(stream, choice(["*"])) } throws: {
                ($0 as? ConnectorFailure)?.code == "postgres.protocol"
            }
        }
    }

    @Test func contentThatIsNoTextIsKeptAsBytes() throws {
        var message = Wire.message("a", "xy")
        message[message.count - 1] = 0xFF
        let batch = try decode(Self.transaction(100, [Wire.xlog(message)]), choice(["*"]))
        #expect(batch.seen[0].after == ["a", "not UTF-8"])
        let tuple = batch.tuple(batch.change(at: 0).after)
        // 2 bytes of count, then the prefix as kind, length and one byte, then the content's kind.
        #expect(tuple.byte(2) == ValueKind.text)
        #expect(tuple.byte(2 + 5 + 1) == ValueKind.binary)
    }

    @Test func aPrefixInAnotherEncodingDoesNotStopTheStream() throws {
        var message = Wire.message("a", "x")
        message[10] = 0xE9
        let batch = try decode(Self.transaction(100, [Wire.xlog(message), Self.row()]), choice(["*"]))
        #expect(batch.seen.map(\.after) == [["!", "x"], ["1"]])
    }

    // MARK: Boundaries

    @Test func beginAndEndAreToldAroundTheEventsOfATransaction() throws {
        let stream = Self.transaction(
            100,
            [
                Self.row(8), Self.row(), Self.message("a"), Self.row(9), Self.message("b"), Self.row(), Self.row(8),
            ])
        let batch = try decode(stream, choice(["a"], marks: true))
        #expect(batch.seen.map(\.operation) == [.begin, .insert, .message, .insert, .insert, .commit])
        #expect(
            batch.seen.map(\.identity.ordinal) == [
                ChangeIdentity.beginOrdinal, 1, 2, 3, 5, ChangeIdentity.commitOrdinal,
            ])
        #expect(zip(batch.seen, batch.seen.dropFirst()).allSatisfy { $0.identity < $1.identity })
        #expect(batch.seen[0].after == ["7", nil, nil, nil])
        let tables =
            #"[{"schema":"public","table":"t","events":2},{"schema":"public","table":"u","events":1},"#
            + #"{"schema":"pg_logical","table":"message","events":1}]"#
        #expect(batch.seen[5].after == ["7", "7", "4", tables])
        #expect(batch.checkpoint?.last?.ordinal == ChangeIdentity.commitOrdinal)
    }

    @Test func aTransactionWithoutEventsHasNoBoundaries() throws {
        let stream =
            Self.transaction(100, [Self.row(8), Self.message("a")]) + Self.transaction(200, [Self.row(9)])
            + Self.transaction(300, [])
        let batch = try decode(stream, choice(marks: true))
        #expect(batch.seen.map(\.identity.commit) == [200, 200, 200])
        #expect(batch.seen[2].after[1...2] == ["1", "1"])
    }

    @Test func boundariesAreWholeWhereverTheLogStopped() throws {
        let stream = Self.transaction(100, [Self.row(), Self.row(9), Self.row()]) + Self.transaction(200, [Self.row()])
        let whole = try decode(stream, choice(marks: true)).seen
        #expect(whole.count == 8)
        for (index, change) in whole.enumerated() {
            let checkpoint = SourceCheckpoint(last: change.identity, resume: ResumePosition(60))
            let rest = try decode(stream, choice(marks: true), after: checkpoint).seen
            #expect(rest == Array(whole.dropFirst(index + 1)))
        }
    }

    @Test func manyTablesAreNamedUpToABound() throws {
        var decoder = ChangeDecoder(
            progress: ReplicationProgress(after: nil, slotPosition: LSN(50), notes: SourceNotes()), slot: "s",
            checksText: false,
            choice: choice(marks: true))
        var stream = Wire.xlog(Wire.begin(100))
        for id in 100..<1150 as Range<UInt32> {
            stream += Wire.xlog(Wire.relation(id, "t\(id)", columns: [("id", 23, true)])) + Self.row(id)
        }
        stream += Wire.xlog(Wire.commit(100, end: 120))
        _ = try decoder.consume(stream.rawBytes, byteLimit: 8 << 20, relations: Announcements())
        let end = try #require(try decoder.seal().seen.last)
        #expect(end.after[2] == "1050")
        #expect(end.after[3]?.hasSuffix(#"{"schema":null,"table":null,"events":50}]"#) == true)
    }

    // MARK: Context

    private func contexts(_ batch: ChangeBatch) -> [String] {
        (0..<batch.changeCount).map { index in
            let range = batch.transaction(at: Int(batch.change(at: index).transaction)).context
            return String(validatingUTF8: batch.tuple(range)) ?? "not UTF-8"
        }
    }

    @Test func aContextAtTheHeadBelongsToAllChangesOfItsTransaction() throws {
        let announcements = Announcements()
        let stream =
            Self.transaction(
                100,
                [
                    Self.message("a"), Self.message("millrace.context", "r1"),
                    Self.row(), Self.row(),
                ]) + Self.transaction(200, [Self.row()])
            + Self.transaction(300, [Self.row(), Self.message("millrace.context", "late")])
        let batch = try decode(stream, choice(["a"]), after: nil, announcements)
        #expect(contexts(batch) == ["", "r1", "r1", "", ""])
        #expect(announcements.problems == [.behindRows])
    }

    @Test func everyBatchOfATransactionHasItsContext() throws {
        var decoder = ChangeDecoder(
            progress: ReplicationProgress(after: nil, slotPosition: LSN(50), notes: SourceNotes()), slot: "s",
            checksText: false)
        let announcements = Announcements()
        let stream =
            Self.tables
            + Self.transaction(
                100,
                [Self.message("millrace.context", "r1")] + Array(repeating: Self.row(), count: 5))
        var (position, found) = (0, [String]())
        while position < stream.count {
            let rest = Array(stream.dropFirst(position))
            position += try decoder.consume(rest.rawBytes, byteLimit: 1, relations: announcements).taken
            found += contexts(try decoder.seal())
        }
        #expect(found == Array(repeating: "r1", count: 5))
    }

    @Test func theLastContextAtTheHeadCounts() throws {
        let stream = Self.transaction(
            100,
            [
                Self.message("millrace.context", "r1"),
                Self.message("millrace.context", "r2"), Self.row(),
            ])
        #expect(contexts(try decode(stream, choice())) == ["r2"])
    }

    @Test func aContextThatIsTooLongOrNoTextIsIgnored() throws {
        var broken = Wire.message("millrace.context", "xy")
        broken[broken.count - 1] = 0xFF
        for (message, problem, expected) in [
            (Self.message("millrace.context", String(repeating: "x", count: 4097)), ContextProblem.tooLong, ""),
            (Wire.xlog(broken), .notText, ""),
        ] {
            let announcements = Announcements()
            let stream = Self.transaction(100, [message, Self.row()])
            #expect(contexts(try decode(stream, choice(), after: nil, announcements)) == [expected])
            #expect(announcements.problems == [problem])
        }
        let longest = String(repeating: "x", count: 4096)
        let stream = Self.transaction(100, [Self.message("millrace.context", longest), Self.row()])
        #expect(contexts(try decode(stream, choice())) == [longest])
    }

    @Test func aContextOutsideOfATransactionIsIgnored() throws {
        let announcements = Announcements()
        let stream = Wire.xlog(Wire.message("millrace.context", "{}", at: 90)) + Self.transaction(100, [Self.row()])
        #expect(contexts(try decode(stream, choice(), after: nil, announcements)) == [""])
        #expect(announcements.problems == [.outsideOfTransaction])
    }

    @Test func everySingleByteMutationOfMessagesIsAnErrorOrAValue() throws {
        let stream = Self.transaction(
            100, [Self.message("millrace.context", "r1"), Self.message("a"), Self.row()])
        var (values, errors) = (0, 0)
        for index in stream.indices {
            for byte in [0, 1, 0x22, 0x7F, 0x80, 0xFF, stream[index] ^ 1] as [UInt8] {
                var mutated = stream
                mutated[index] = byte
                guard let batch = try? decode(mutated, choice(["*"], marks: true)) else {
                    errors += 1
                    continue
                }
                #expect(throws: Never.self) { try ChangeBatch(decoding: batch.body, relations: batch.relations) }
                values += 1
            }
        }
        #expect(values > 100 && errors > 100)
    }
}

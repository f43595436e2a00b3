import ByteKit
import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

struct ChangeDecoderTests {
    private typealias Wire = WireBytes

    /// Knows every table by its announcement, except those named `hidden`.
    private final class Announcements: RelationSource {
        var problems: [ContextProblem] = []
        func ignored(_ context: ContextProblem) { problems.append(context) }
        func currentNames(of tables: [UInt32]) throws(ConnectorFailure) -> [UInt32: CurrentName] { [:] }
        func relation(for message: RelationMessage) throws(ConnectorFailure) -> Relation? {
            if message.relationName == "hidden" { return nil }
            return Relation(
                sourceID: message.relationID, schema: message.namespace, name: message.relationName,
                columns: message.columns.map {
                    Column(name: $0.name, type: PostgresTypes.valueType(ofTypeID: $0.typeID), typeName: "t")
                })
        }
    }

    private func decoder(after checkpoint: SourceCheckpoint? = nil, checksText: Bool = false) -> ChangeDecoder {
        ChangeDecoder(
            progress: ReplicationProgress(after: checkpoint, slotPosition: LSN(50), notes: Self.notes), slot: "s",
            checksText: checksText)
    }

    private static let notes = {
        var notes = SourceNotes()
        notes.timeline = TimelineMemory(number: 3, forks: [:])
        return notes
    }()

    private static let announcement = WireBytes.xlog(
        WireBytes.relation(7, "t", columns: [("id", 23, true), ("v", 25, false)]))
    private static let hidden = WireBytes.xlog(WireBytes.relation(8, "hidden", columns: [("id", 23, true)]))

    private static let transaction: [UInt8] =
        Wire.xlog(Wire.begin(100)) + announcement + hidden + Wire.xlog(Wire.insert(7, [.text("1"), .text("a")]))
        + Wire.xlog(Wire.insert(8, [.text("9")])) + Wire.xlog(Wire.update(7, [.text("1"), .unchanged]))
        + Wire.xlog(Wire.truncate([8, 7])) + Wire.xlog(Wire.delete(7, "K", [.text("1"), .null]))
        + Wire.xlog(Wire.commit(100, end: 120))

    @Test func aTransactionBecomesChangesWithOrdinalsBeforeAnyFilter() throws {
        var decoder = decoder()
        let outcome = try decoder.consume(Self.transaction.rawBytes, byteLimit: 1 << 20, relations: Announcements())
        #expect(outcome.taken == Self.transaction.count)
        let batch = try decoder.seal()
        #expect(batch.seen.map(\.operation) == [.insert, .update, .truncate, .delete])
        #expect(batch.seen.map(\.identity.ordinal) == [0, 2, 4, 5])
        #expect(batch.seen.map(\.identity.commit) == [100, 100, 100, 100])
        #expect(batch.transactionCount == 1)
        #expect(batch.transaction(at: 0).committedAt == ServerClock.epoch + 1_000_000)
        #expect(batch.checkpoint?.resume == ResumePosition(120))
        #expect(batch.checkpoint?.last == ChangeIdentity(commit: 100, ordinal: 5))
    }

    @Test func anyCutOfTheStreamGivesTheSameChanges() throws {
        let whole = Self.transaction
        for cut in 0...whole.count {
            var decoder = decoder()
            let announcements = Announcements()
            let first = Array(whole.prefix(cut))
            let outcome = try decoder.consume(first.rawBytes, byteLimit: 1 << 20, relations: announcements)
            #expect(outcome.needed > 0)
            let rest = Array(whole.dropFirst(outcome.taken))
            let end = try decoder.consume(rest.rawBytes, byteLimit: 1 << 20, relations: announcements)
            #expect(end.taken == rest.count)
            #expect(try decoder.seal().seen.map(\.identity.ordinal) == [0, 2, 4, 5])
        }
    }

    @Test func aBatchInTheMiddleOfATransactionResumesBeforeIt() throws {
        var decoder = decoder()
        let announcements = Announcements()
        var (position, batches) = (0, [ChangeBatch]())
        while position < Self.transaction.count {
            let rest = Array(Self.transaction.dropFirst(position))
            let outcome = try decoder.consume(rest.rawBytes, byteLimit: 1, relations: announcements)
            position += outcome.taken
            batches.append(try decoder.seal())
        }
        #expect(batches.flatMap(\.seen).map(\.identity.ordinal) == [0, 2, 4, 5])
        #expect(batches.dropLast().allSatisfy { $0.checkpoint?.resume == ResumePosition(50) })
        #expect(batches.last?.checkpoint?.resume == ResumePosition(120))
        #expect(batches[1].checkpoint?.last == ChangeIdentity(commit: 100, ordinal: 2))
    }

    @Test func changesThatTheLogHoldsAreLeftOutAndCounted() throws {
        let last = ChangeIdentity(commit: 100, ordinal: 2)
        var decoder = decoder(
            after: SourceCheckpoint(last: last, resume: ResumePosition(60), notes: Self.notes.encoded))
        let later: [UInt8] =
            Wire.xlog(Wire.begin(200)) + Wire.xlog(Wire.insert(7, [.text("2"), .null]))
            + Wire.xlog(Wire.commit(200, end: 210))
        let stream = Self.transaction + later
        _ = try decoder.consume(stream.rawBytes, byteLimit: 1 << 20, relations: Announcements())
        let batch = try decoder.seal()
        #expect(batch.seen.map(\.identity.ordinal) == [4, 5, 0])
        #expect(batch.checkpoint?.notes == Self.notes.encoded)
    }

    @Test func aKeepaliveMovesThePositionOnlyOutsideOfATransaction() throws {
        var decoder = decoder()
        let announcements = Announcements()
        let inside = Wire.xlog(Wire.begin(100)) + Wire.keepalive(500, reply: true)
        _ = try decoder.consume(inside.rawBytes, byteLimit: 1 << 20, relations: announcements)
        let (resume, replyRequested) = (decoder.progress.resume, decoder.replyRequested)
        #expect(resume == LSN(50))
        #expect(replyRequested)
        let outside = Wire.xlog(Wire.commit(100, end: 120)) + Wire.keepalive(500) + Wire.keepalive(400)
        _ = try decoder.consume(outside.rawBytes, byteLimit: 1 << 20, relations: announcements)
        let end = decoder.progress.resume
        #expect(end == LSN(500))
    }

    @Test func aRowOutOfPlaceIsAnError() {
        let width = Wire.xlog(Wire.begin(1)) + Self.announcement + Wire.xlog(Wire.insert(7, [.text("1")]))
        let wrong: [[UInt8]] = [
            Self.announcement + Wire.xlog(Wire.insert(7, [.text("1"), .null])),
            Wire.xlog(Wire.begin(1)) + Wire.xlog(Wire.insert(7, [.null])), width,
            Wire.xlog(Wire.begin(1)) + Wire.xlog(Wire.begin(2)), Wire.xlog(Wire.commit(1, end: 2)),
            Wire.xlog(Wire.begin(1)) + Wire.xlog(Wire.commit(2, end: 3)), Wire.frame("?", []),
            Wire.frame("d", [UInt8(ascii: "?")]), [UInt8(ascii: "d"), 0, 0, 0, 3],
        ]
        for stream in wrong {
            var decoder = decoder()
            #expect { try decoder.consume(stream.rawBytes, byteLimit: 1 << 20, relations: Announcements()) } throws: {
                ($0 as? ConnectorFailure)?.code == "postgres.protocol"
            }
        }
    }

    @Test func theServersLastWordIsMapped() {
        for (state, code, remedy) in [
            ("57P01", "postgres.server_stopping", Remedy.retry), ("58P01", "postgres.slot_lost", .stop),
            ("55006", "postgres.slot_active", .retry), ("42704", "postgres.object_missing", .stop),
            ("XX000", "postgres.server_error", .retry), ("55000", "postgres.slot_lost", .stop),
        ] {
            var decoder = decoder()
            #expect {
                try decoder.consume(
                    Wire.error(state, "words").rawBytes, byteLimit: 1 << 20, relations: Announcements())
            } throws: {
                ($0 as? ConnectorFailure)?.code == code && ($0 as? ConnectorFailure)?.remedy == remedy
            }
        }
    }

    @Test func noticesAreReadOver() throws {
        var decoder = decoder()
        let stream = Wire.frame("N", [0]) + Wire.frame("S", Wire.name("TimeZone") + Wire.name("UTC")) + Self.transaction
        _ = try decoder.consume(stream.rawBytes, byteLimit: 1 << 20, relations: Announcements())
        let count = decoder.changeCount
        #expect(count == 4)
    }

    @Test func malformedTextIsMarkedWhereTheServerDoesNotCheck() throws {
        var insert = Wire.insert(7, [.text("1"), .text("abc")])
        insert[insert.count - 1] = 0xFF
        let stream = Wire.xlog(Wire.begin(1)) + Self.announcement + Wire.xlog(insert)
        var decoder = decoder(checksText: true)
        _ = try decoder.consume(stream.rawBytes, byteLimit: 1 << 20, relations: Announcements())
        #expect(try decoder.seal().seen.map(\.after) == [["1", "!"]])
    }

    @Test func everySingleByteMutationOfAStreamIsAnErrorOrAValue() throws {
        var (values, errors) = (0, 0)
        for index in Self.transaction.indices {
            for byte in [0, 1, 0x4E, 0x62, 0x7F, 0x80, 0xFF, Self.transaction[index] ^ 1] as [UInt8] {
                var mutated = Self.transaction
                mutated[index] = byte
                var decoder = decoder()
                do {
                    _ = try decoder.consume(mutated.rawBytes, byteLimit: 1 << 20, relations: Announcements())
                    let batch = try decoder.seal()
                    #expect(throws: Never.self) {
                        try ChangeBatch(decoding: batch.body, relations: batch.relations)
                    }
                    values += 1
                } catch { errors += 1 }
            }
        }
        #expect(values > 100 && errors > 100)
    }
}

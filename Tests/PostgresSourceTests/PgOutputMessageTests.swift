import ByteKit
import ChangeModel
import Testing

@testable import PostgresSource

struct PgOutputMessageTests {
    private typealias Wire = WireBytes

    @Test func beginHasCommitTimeAndTransaction() throws {
        let begin = try BeginMessage(Wire.begin(0x1_0000_0002, xid: 9, time: 42).rawBytes)
        #expect(begin.finalLSN == LSN(0x1_0000_0002))
        #expect(begin.xid == 9)
        #expect(begin.commitTimestamp == 42)
    }

    @Test func commitHasBothPositions() throws {
        let commit = try CommitMessage(Wire.commit(10, end: 20).rawBytes)
        #expect(commit.commitLSN == LSN(10))
        #expect(commit.endLSN == LSN(20))
    }

    @Test func relationHasNamesIdentityAndColumns() throws {
        let relation = try RelationMessage(
            Wire.relation(7, "t", identity: "f", columns: [("id", 23, true), ("ä", 25, false)]).rawBytes)
        #expect(relation.relationID == 7)
        #expect(relation.namespace == "public")
        #expect(relation.replicaIdentity == .full)
        #expect(relation.columns.map(\.name) == ["id", "ä"])
        #expect(relation.columns.map(\.isKey) == [true, false])
        #expect(relation.columns.map(\.typeID) == [23, 25])
    }

    @Test func anEmptyNamespaceIsTheCatalogue() throws {
        var bytes = Wire.relation(7, "t", columns: [])
        bytes.removeSubrange(5..<11)
        #expect(try RelationMessage(bytes.rawBytes).namespace == "pg_catalog")
    }

    @Test func rowMessagesHoldTheirTuplesWhole() throws {
        let insertBytes = Wire.insert(7, [.text("1"), .null, .unchanged])
        let insert = try InsertMessage(insertBytes.rawBytes)
        let (relationID, newTuple) = (insert.relationID, bytes(insert.newTuple))
        #expect(relationID == 7)
        #expect(newTuple == Wire.tuple([.text("1"), .null, .unchanged]))

        let updateBytes = Wire.update(7, old: ("O", [.text("1")]), [.text("2")])
        let update = try UpdateMessage(updateBytes.rawBytes)
        let (image, old, new) = (update.oldImage, bytes(update.oldTuple), bytes(update.newTuple))
        #expect(image == .full)
        #expect(old == Wire.tuple([.text("1")]))
        #expect(new == Wire.tuple([.text("2")]))

        let plainBytes = Wire.update(7, [.text("2")])
        let plain = try UpdateMessage(plainBytes.rawBytes)
        let (plainImage, plainLength) = (plain.oldImage, plain.oldTuple.byteCount)
        #expect(plainImage == .none)
        #expect(plainLength == 0)

        let deleteBytes = Wire.delete(7, "K", [.text("1"), .null])
        let delete = try DeleteMessage(deleteBytes.rawBytes)
        let (deleteImage, deleted) = (delete.oldImage, bytes(delete.oldTuple))
        #expect(deleteImage == .key)
        #expect(deleted == Wire.tuple([.text("1"), .null]))
    }

    @Test func truncateNamesItsTablesAndOptions() throws {
        let truncate = try TruncateMessage(Wire.truncate([7, 8], options: 3).rawBytes)
        #expect(truncate.relationIDs == [7, 8])
        #expect(truncate.cascades && truncate.restartsIdentity)
    }

    @Test func theOtherMessagesAreRead() throws {
        #expect(try TypeMessage(Wire.type(5, "mood").rawBytes).name == "mood")
        #expect(try OriginMessage(Wire.origin("there").rawBytes).name == "there")
        let messageBytes = Wire.message("prefix", "content")
        let message = try LogicalMessage(messageBytes.rawBytes)
        let (prefix, content, isTransactional) = (message.prefix, bytes(message.content), message.isTransactional)
        #expect(prefix == "prefix")
        #expect(content == Array("content".utf8))
        #expect(isTransactional)
    }

    @Test func aStatusUpdateIsThirtyFourBytes() {
        var output = OutputBuffer(capacity: 64)
        StandbyStatusUpdate(written: LSN(1), flushed: LSN(2), applied: LSN(3), time: 4, replyRequested: true)
            .encode(into: &output)
        let expected: [UInt8] =
            [UInt8(ascii: "r")] + Wire.big(UInt64(1)) + Wire.big(UInt64(2)) + Wire.big(UInt64(3)) + Wire.big(Int64(4))
            + [1]
        #expect(bytes(output.bytes) == expected)
    }

    @Test func anUnknownKindIsAnError() {
        #expect(throws: WireError.unknownMessage(UInt8(ascii: "S"))) {
            try PgOutputMessage.kind(of: [UInt8(ascii: "S"), 1].rawBytes)
        }
    }

    @Test func everyPrefixOfEveryMessageIsAnError() {
        for message in Self.messages {
            #expect(throws: Never.self) { try decode(message) }
            for length in 0..<message.count {
                #expect(throws: WireError.self, "\(message.count) bytes cut to \(length)") {
                    try decode(Array(message.prefix(length)))
                }
            }
        }
    }

    @Test func aByteTooManyIsAnError() {
        for message in Self.messages { #expect(throws: WireError.self) { try decode(message + [0]) } }
    }

    @Test func everySingleByteMutationIsAnErrorOrAValue() {
        var (values, errors) = (0, 0)
        for message in Self.messages {
            for index in message.indices {
                for byte in UInt8.min...UInt8.max where byte != message[index] {
                    var mutated = message
                    mutated[index] = byte
                    do { try decode(mutated); values += 1 } catch { errors += 1 }
                }
            }
        }
        #expect(values > 1000 && errors > 1000)
    }

    static let messages: [[UInt8]] = [
        Wire.begin(100), Wire.commit(100, end: 120), Wire.origin("o"), Wire.type(900_000, "mood"),
        Wire.relation(7, "t", columns: [("id", 23, true), ("v", 25, false)]),
        Wire.insert(7, [.text("1"), .null]), Wire.update(7, [.text("1"), .unchanged]),
        Wire.update(7, old: ("K", [.text("1"), .null]), [.text("2"), .text("x")]),
        Wire.delete(7, "O", [.text("1"), .text("y")]), Wire.truncate([7, 8]), Wire.message("p", "c"),
    ]

    private func decode(_ payload: [UInt8]) throws {
        let span = payload.rawBytes
        switch try PgOutputMessage.kind(of: span) {
        case .begin: _ = try BeginMessage(span)
        case .commit: _ = try CommitMessage(span)
        case .origin: _ = try OriginMessage(span)
        case .relation: _ = try RelationMessage(span)
        case .type: _ = try TypeMessage(span)
        case .insert: _ = try InsertMessage(span).relationID
        case .update: _ = try UpdateMessage(span).relationID
        case .delete: _ = try DeleteMessage(span).relationID
        case .truncate: _ = try TruncateMessage(span)
        case .message: _ = try LogicalMessage(span).prefix
        }
    }
}

func bytes(_ span: RawSpan) -> [UInt8] {
    span.withUnsafeBytes { Array($0) }
}

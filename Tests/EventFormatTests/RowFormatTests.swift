import ChangeModel
import EventFormat
import Testing

private func metadata(_ operation: String, ordinal: String = "0000000A") -> String {
    """
    "_op":"\(operation)","_id":"shop-00000000016B3748-\(ordinal)","_sequence":"00000000016B3748-\(ordinal)",\
    "_schema":"public","_table":"orders","_dataschema":"/subjects/shop.public.orders/versions/3",\
    "_committed_at":"2026-11-21T10:00:00.123456Z"
    """
}

@Suite struct RowFormatTests {
    @Test func rowIsTheAfterImageWithMetadata() throws {
        let lines = try encode(
            [.insert(["42", "new", nil]), .update(to: ["42", "paid", .unchanged])], of: orders, format: .row
        )
        .lines
        #expect(lines[0] == #"{"id":42,"status":"new","note":null,"# + metadata("insert") + #","_unchanged":[]}"#)
        #expect(
            lines[1] == #"{"id":42,"status":"paid","# + metadata("update", ordinal: "0000000B")
                + #","_unchanged":["note"]}"#)
    }

    @Test func deletedRowIsWhatIsKnownOfIt() throws {
        let lines = try encode([.delete(.key, ["42", nil, nil])], of: orders, format: .row).lines
        #expect(lines == [#"{"id":42,"# + metadata("delete") + #","_unchanged":[]}"#])
        let whole = try encode([.delete(.full, ["42", "x", nil])], of: orders, format: .row).lines
        #expect(whole == [#"{"id":42,"status":"x","note":null,"# + metadata("delete") + #","_unchanged":[]}"#])
    }

    @Test func truncateIsMetadataOnly() throws {
        #expect(
            try encode([.truncate], of: orders, format: .row).lines == [
                "{" + metadata("truncate") + #","_unchanged":[]}"#
            ])
    }

    @Test func changedKeyIsShown() throws {
        let lines = try encode(
            [.update(.key, from: ["41", nil, nil], to: ["42", nil, nil])], of: orders, format: .row
        ).lines
        #expect(
            lines == [
                #"{"id":42,"status":null,"note":null,"# + metadata("update")
                    + #","_unchanged":[],"_previous_key":{"id":41}}"#
            ])
    }

    @Test func columnKeepsItsNameAndMetadataGivesWay() throws {
        let odd = Relation(
            sourceID: 1, schema: "public", name: "orders",
            columns: [column("_op"), column("__op"), column("_id", .dynamic), column("_base64")])
        let line = try encode([.insert(["a", "b", .blob([1]), "d"])], of: odd, format: .row).lines[0]
        #expect(
            line
                == #"{"_op":"a","__op":"b","_id":"AQ==","_base64":"d","# + "\"___op\":\"insert\",\"__id\""
                + metadata("insert").dropFirst(#""_op":"insert","_id""#.count)
                + #","_unchanged":[],"__base64":["_id"]}"#)
    }
}

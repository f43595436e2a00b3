import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import Testing

/// The parts of an event of the sample batch around what differs.
private func event(
    _ operation: String, table: String = "orders", ordinal: String = "0000000A", position: Int = 10,
    key text: String? = "42",
    _ data: String
) -> String {
    let (subject, partition) = text.map { ("\"subject\":\"\($0)\",", ",\"partitionkey\":\"\($0)\"") } ?? ("", "")
    return """
        {"specversion":"1.0","id":"shop-00000000016B3748-\(ordinal)","source":"/millrace/shop",\
        "type":"public.\(table).\(operation)",\(subject)"time":"2026-11-21T10:00:00.123456Z",\
        "datacontenttype":"application/json","dataschema":"/subjects/shop.public.\(table)/versions/3",\
        "sequence":"00000000016B3748-\(ordinal)"\(partition),\
        "data":{"op":"\(operation)","schema":"public","table":"\(table)",\(data),\
        "transaction":{"id":"771","position":\(position)},\
        "committed_at":"2026-11-21T10:00:00.123456Z","lsn":"0/16B3748"}}
        """
}

private func onlyLine(_ changes: SampleChange, of relation: Relation = orders) throws -> String {
    let lines = try encode([changes], of: relation).lines
    #expect(lines.count == 1)
    return lines.first ?? ""
}

@Suite struct CloudEventTests {
    @Test func insertHasTheRowAfter() throws {
        let line = try onlyLine(.insert(["42", "new", nil]))
        #expect(
            line
                == event(
                    "insert",
                    #""key":{"id":42},"previous_key":null,"before":null"#
                        + #","after":{"id":42,"status":"new","note":null},"unchanged":[]"#
                ))
    }

    @Test func snapshotIsAnInsertByAnotherName() throws {
        let line = try onlyLine(.snapshot(["42", "new", ""]))
        #expect(
            line
                == event(
                    "snapshot",
                    #""key":{"id":42},"previous_key":null,"before":null"#
                        + #","after":{"id":42,"status":"new","note":""},"unchanged":[]"#
                ))
    }

    @Test func unchangedValueIsListedAndAbsent() throws {
        let line = try onlyLine(.update(to: ["42", "paid", .unchanged]))
        #expect(
            line
                == event(
                    "update",
                    #""key":{"id":42},"previous_key":null,"before":null"#
                        + #","after":{"id":42,"status":"paid"},"unchanged":["note"]"#
                ))
    }

    @Test func unchangedValueIsTakenFromAWholeOldRow() throws {
        let line = try onlyLine(.update(.full, from: ["42", "new", "long"], to: ["42", "paid", .unchanged]))
        #expect(
            line
                == event(
                    "update",
                    #""key":{"id":42},"previous_key":null,"before":{"id":42,"status":"new","note":"long"},"#
                        + #""after":{"id":42,"status":"paid","note":"long"},"unchanged":[]"#))
    }

    @Test func changedKeyHasThePreviousOneFromTheOldKey() throws {
        let line = try onlyLine(.update(.key, from: ["41", nil, nil], to: ["42", "paid", "n"]))
        #expect(
            line
                == event(
                    "update",
                    #""key":{"id":42},"previous_key":{"id":41},"before":null"#
                        + #","after":{"id":42,"status":"paid","note":"n"},"unchanged":[]"#
                ))
    }

    @Test func changedKeyHasThePreviousOneFromTheOldRow() throws {
        let line = try onlyLine(.update(.full, from: ["41", nil, nil], to: ["42", nil, nil]))
        #expect(
            line
                == event(
                    "update",
                    #""key":{"id":42},"previous_key":{"id":41},"before":{"id":41,"status":null,"note":null},"#
                        + #""after":{"id":42,"status":null,"note":null},"unchanged":[]"#))
    }

    @Test func oldKeyThatIsTheSameIsNoPreviousKey() throws {
        #expect(
            try onlyLine(.update(.key, from: ["42", nil, nil], to: ["42", nil, nil])).contains(#""previous_key":null"#))
    }

    @Test func unchangedKeyIsTakenFromTheOldKey() throws {
        let table = Relation(
            sourceID: 1, schema: "public", name: "t", columns: [column("k", .text, key: 0), column("v", .text)])
        let line = try onlyLine(.update(.key, from: ["long", nil], to: [.unchanged, .unchanged]), of: table)
        #expect(
            line
                == event(
                    "update", table: "t", key: "long",
                    #""key":{"k":"long"},"previous_key":null,"before":null,"after":{"k":"long"},"unchanged":["v"]"#))
    }

    @Test func deleteHasTheKeyOfTheOldTuple() throws {
        let line = try onlyLine(.delete(.key, ["42", nil, nil]))
        #expect(
            line
                == event("delete", #""key":{"id":42},"previous_key":null,"before":null,"after":null,"unchanged":[]"#))
    }

    @Test func deleteUnderFullIdentityHasTheOldRow() throws {
        let line = try onlyLine(.delete(.full, ["42", "new", "n"]))
        #expect(
            line
                == event(
                    "delete",
                    #""key":{"id":42},"previous_key":null,"before":{"id":42,"status":"new","note":"n"}"#
                        + #","after":null,"unchanged":[]"#
                ))
    }

    @Test func truncateHasNoRow() throws {
        let line = try onlyLine(.truncate)
        #expect(
            line
                == event(
                    "truncate", key: nil, #""key":null,"previous_key":null,"before":null,"after":null,"unchanged":[]"#))
    }

    @Test func tableWithoutKeyHasNoSubject() throws {
        let log = Relation(sourceID: 2, schema: "public", name: "log", columns: [column("line")])
        let line = try onlyLine(.insert(["a"]), of: log)
        #expect(
            line
                == event(
                    "insert", table: "log", key: nil,
                    #""key":null,"previous_key":null,"before":null,"after":{"line":"a"},"unchanged":[]"#))
    }

    @Test func ordinalCountsOn() throws {
        let lines = try encode([.truncate, .truncate], of: orders).lines
        #expect(
            lines.last
                == event(
                    "truncate", ordinal: "0000000B", position: 11, key: nil,
                    #""key":null,"previous_key":null,"before":null,"after":null,"unchanged":[]"#))
    }

    @Test func sqliteEventHasNeitherPositionNorTransaction() throws {
        let line = try encode([.insert(["42", nil, nil])], of: orders, source: "sqlite", transactionID: 0).lines.first
        #expect(
            line?.hasSuffix(
                #""unchanged":[],"transaction":null,"committed_at":"2026-11-21T10:00:00.123456Z"}}"#) == true)
    }

    @Test func namesAreEscapedForJSONAndForURIs() throws {
        let odd = Relation(
            sourceID: 3, schema: "a\"b", name: "c\\d ä/é\n", columns: [column("x\"\u{1}", .int32, key: 0)])
        let line = try encode([.insert(["1"])], of: odd, pipeline: "s h\"op").lines.first ?? ""
        #expect(line.contains(#""id":"s h\"op-00000000016B3748-0000000A","source":"/millrace/s%20h%22op""#))
        #expect(line.contains(#""type":"a\"b.c\\d ä/é\n.insert""#))
        #expect(line.contains(#""dataschema":"/subjects/shop.a%22b.c%5Cd%20%C3%A4%2F%C3%A9%0A/versions/3""#))
        #expect(line.contains(#""schema":"a\"b","table":"c\\d ä/é\n","key":{"x\"\u0001":1}"#))
    }
}

@Suite struct KeyTextTests {
    private func keys(_ columns: [Column], _ values: [SampleValue]) throws -> (key: String, line: String) {
        let relation = Relation(sourceID: 1, schema: "public", name: "t", columns: columns)
        let cloudEvents = try encode([.insert(values)], of: relation)
        let rows = try encode([.insert(values)], of: relation, format: .row)
        #expect(cloudEvents.keys == rows.keys)
        return (cloudEvents.keys.first ?? "", cloudEvents.lines.first ?? "")
    }

    @Test func compositeKeyIsJoinedInTheOrderOfTheKey() throws {
        let (key, line) = try keys([column("a", .int32, key: 1), column("b", .text, key: 0)], ["7", "x,y\\z"])
        #expect(key == #"x\,y\\z,7"#)
        #expect(line.contains(#""subject":"x\\,y\\\\z,7""#) && line.contains(#""partitionkey":"x\\,y\\\\z,7""#))
        #expect(line.contains(#""key":{"b":"x,y\\z","a":7}"#))
    }

    @Test func singleKeyIsNotEscaped() throws {
        let (key, line) = try keys([column("a", .text, key: 0)], ["x,y\\\"z"])
        #expect(key == #"x,y\"z"#)
        #expect(line.contains(#""subject":"x,y\\\"z""#))
    }

    @Test func keyIsSpelledAsInJSON() throws {
        #expect(try keys([column("a", .boolean, key: 0)], ["t"]).key == "true")
        #expect(try keys([column("a", .bytes, key: 0)], ["\\x616263"]).key == "YWJj")
        #expect(try keys([column("a", .dynamic, key: 0)], [.integer("-5")]).key == "-5")
        #expect(try keys([column("a", .dynamic, key: 0)], [.blob([97, 98, 99])]).key == "YWJj")
        #expect(
            try keys([column("a", .dynamic, key: 0), column("b", .dynamic, key: 1)], [nil, .real("1.5")]).key
                == "null,1.5")
    }

    @Test func emptyKeyIsNoSubject() throws {
        let (key, line) = try keys([column("a", .text, key: 0)], [""])
        #expect(key.isEmpty)
        #expect(!line.contains("subject\"") && !line.contains("partitionkey"))
        #expect(line.contains(#""key":{"a":""}"#))
    }

    @Test func looseKeysOfManyRecordsStayWithTheirRecord() throws {
        let relation = Relation(sourceID: 1, schema: "public", name: "t", columns: [column("a", .text, key: 0)])
        let texts = ["1", "\"", "3", "\n\n", "5"]
        let batch = try encode(texts.map { .insert([.text($0)]) }, of: relation)
        #expect(batch.keys == texts)
    }
}

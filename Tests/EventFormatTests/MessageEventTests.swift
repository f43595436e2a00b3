import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import JSONText
import Testing

/// Messages, boundaries of transactions and what an application says about a transaction, byte by byte.
struct MessageEventTests {
    static let traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    private func head(_ type: String, _ sequence: String, subject: String, table: String) -> String {
        #"{"specversion":"1.0","id":"shop-\#(sequence)","source":"/millrace/shop","type":"\#(type)","#
            + #""subject":"\#(subject)","time":"2026-11-21T10:00:00.123456Z","datacontenttype":"application/json","#
            + #""dataschema":"/subjects/shop.pg_logical.\#(table)/versions/3","sequence":"\#(sequence)","#
            + #""partitionkey":"\#(subject)","data":{"#
    }

    @Test func aMessageIsAnEventWithItsPrefixAsKey() throws {
        let records = try encode([.message("app", "{\"a\":1}")], of: messages)
        let sequence = "00000000016B3748-0000000A"
        #expect(
            records.lines == [
                head("pg_logical.message", sequence, subject: "app", table: "message")
                    + #""op":"message","schema":"pg_logical","table":"message","key":{"prefix":"app"},"#
                    + #""previous_key":null,"before":null,"after":{"prefix":"app","content":"{\"a\":1}"},"#
                    + #""unchanged":[],"transaction":{"id":"771","position":10},"#
                    + #""committed_at":"2026-11-21T10:00:00.123456Z","lsn":"0/16B3748"}}"#
            ])
        #expect(records.keys == ["app"])
        let between = try encode([.message("app", .blob([0, 255]))], of: messages, transactionID: 0).lines[0]
        #expect(between.contains(#""content":"AP8="},"unchanged":[],"base64":["content"],"transaction":null,"#))
    }

    @Test func boundariesHaveNoPosition() throws {
        let begin = try encode(
            [.boundary(.begin)], of: transactions, firstOrdinal: ChangeIdentity.beginOrdinal
        ).lines
        #expect(
            begin == [
                head("pg_logical.transaction.begin", "00000000016B3748", subject: "771", table: "transaction")
                    + #""op":"begin","schema":"pg_logical","table":"transaction","key":{"id":"771"},"#
                    + #""previous_key":null,"before":null,"#
                    + #""after":{"id":"771","changes":null,"events":null,"tables":null},"#
                    + #""unchanged":[],"transaction":{"id":"771","position":null},"#
                    + #""committed_at":"2026-11-21T10:00:00.123456Z","lsn":"0/16B3748"}}"#
            ])
        let tables: SampleValue = #"[{"schema":"public","table":"t","events":3}]"#
        let commit = try encode(
            [.boundary(.commit, changes: "4", events: "3", tables: tables)], of: transactions,
            firstOrdinal: ChangeIdentity.commitOrdinal
        ).lines
        let sequence = "00000000016B3748-7FFFFFFF"
        #expect(
            commit == [
                head("pg_logical.transaction.commit", sequence, subject: "771", table: "transaction")
                    + #""op":"commit","schema":"pg_logical","table":"transaction","key":{"id":"771"},"#
                    + #""previous_key":null,"before":null,"after":{"id":"771","changes":4,"events":3,"#
                    + #""tables":[{"schema":"public","table":"t","events":3}]},"#
                    + #""unchanged":[],"transaction":{"id":"771","position":null},"#
                    + #""committed_at":"2026-11-21T10:00:00.123456Z","lsn":"0/16B3748"}}"#
            ])
    }

    @Test func theContextIsInEveryEventOfItsTransactionBeforeTheData() throws {
        let context =
            #"{"correlationid":"a \"b\"","causationid":"ü","traceparent":"\#(Self.traceParent)","tenant":"t1"}"#
        let attributes =
            #","correlationid":"a \"b\"","causationid":"ü","traceparent":"\#(Self.traceParent)","tenant":"t1""#
        let changes: [SampleChange] = [
            .insert(["1", "a", nil]), .update(to: ["1", "b", nil]), .delete(.key, ["1", nil, nil]), .truncate,
        ]
        let plain = try encode(changes, of: orders).lines
        let said = try encode(changes, of: orders, context: context).lines
        #expect(said == plain.map { $0.replacing(#","data":"#, with: attributes + #","data":"#, maxReplacements: 1) })
        #expect(said != plain)
        let message = try encode([.message("app", "x")], of: messages, context: context).lines[0]
        #expect(message.contains(#""partitionkey":"app""# + attributes + #","data":{"op":"message""#))
    }

    @Test func transactionsOfOneBatchHaveTheirOwnContext() throws {
        var builder = ChangeBatchBuilder(capacity: 4096)
        let index = builder.index(of: orders)
        for (number, context) in [#"{"correlationid":"c1"}"#, "", #"{"correlationid":"c3"}"#].enumerated() {
            let said = builder.append(context: Array(context.utf8).rawBytes)
            // All are alike but for what was said: the same commit is no reason to keep the words.
            let transaction = builder.begin(TransactionInfo(commit: 7, id: 1, committedAt: commitTime, context: said))
            for ordinal in 0..<2 {
                let after = builder.append(tuple: tuple(["1", "a", nil]).rawBytes)
                builder.append(
                    RowChange(
                        operation: .insert, relation: index, transaction: transaction,
                        ordinal: UInt32(number * 2 + ordinal), after: after))
            }
        }
        let batch = try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .cloudEvents)
        // One event a call, as small batches of records are made.
        let lines = try (0..<6).map { place in
            try encoder.encode(
                batch, versions: [version(orders)], firstOffset: 0, from: place, bytesMax: 1, including: { _ in true }
            ).records.lines[0]
        }
        let found = try lines.map { try JSONValue(parsing: $0).object?["correlationid"]?.string }
        #expect(found == ["c1", "c1", nil, nil, "c3", "c3"])
        #expect(encoder.contextProblems.isEmpty)
    }

    @Test func aBadContextIsToldByKindAndTheEventsAreWritten() throws {
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .cloudEvents)
        for context in ["no JSON", #"{"id":"x","correlationid":"c"}"#, #"{"subject":"x"}"#, #"{"aggregatetype":"x"}"#] {
            let batch = try batch([.insert(["1", "a", nil])], of: orders, context: context)
            let lines = try encoder.encode(
                batch, versions: [version(orders)], firstOffset: 0, from: 0, bytesMax: .max, including: { _ in true }
            ).records.lines
            #expect(lines.count == 1 && lines[0].contains(#""correlationid":"c""#) == context.contains("correlationid"))
            #expect(try JSONValue(parsing: lines[0]).object?.repeatedNames == [])
        }
        #expect(encoder.contextProblems == [.notJSON, .badName])
    }

    @Test func theRowFormatLeavesTheContextOut() throws {
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .row)
        let changes: [SampleChange] = [.insert(["1", "a", nil])]
        func lines(_ context: String) throws -> [String] {
            try encoder.encode(
                try batch(changes, of: orders, context: context), versions: [version(orders)], firstOffset: 0, from: 0,
                bytesMax: .max, including: { _ in true }
            ).records.lines
        }
        #expect(try lines(#"{"correlationid":"c"}"#) == lines("") && lines("no JSON") == lines(""))
        #expect(encoder.contextProblems.isEmpty)
    }
}

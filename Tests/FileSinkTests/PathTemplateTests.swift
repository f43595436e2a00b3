import ConnectorKit
import Glibc
import Testing

@testable import FileSink

struct PathTemplateTests {
    private func path(_ template: String, _ table: String, schema: String = "public", at time: Int64 = 0) throws
        -> String
    {
        let template = try PathTemplate(template)
        return template.path(Topic(schema: schema, table: table), template.period(ofCommit: time))
    }

    @Test func placeholdersAreFilledIn() throws {
        #expect(try path("out/{schema}/{table}-{date}.jsonl", "orders") == "out/public/orders-1970-01-01.jsonl")
        #expect(try path("all.jsonl", "orders") == "all.jsonl")
        #expect(try path("{date}/{hour}/{table}", "t", at: 86_400_000_000 * 2 - 1) == "1970-01-02/23/t")
        #expect(try path("{hour}", "t", at: -1) == "23")
    }

    @Test(arguments: [
        ("out/{table}.jsonl", "out/{table}-{offset}.jsonl.gz"), ("a.b/{table}", "a.b/{table}-{offset}.gz"),
        ("{table}.jsonl.gz", "{table}-{offset}.jsonl.gz"), ("o/.hidden", "o/.hidden-{offset}.gz"),
        ("{offset}/{table}.x", "{offset}/{table}.x.gz"),
    ])
    func namesOfRotatedFilesGetTheOffsetAndTheExtension(template: String, completed: String) throws {
        #expect(try PathTemplate(template).completed(isRotated: true, .gzip).text == completed)
    }

    @Test func anHourHasItsTimes() throws {
        let period = try PathTemplate("{hour}").period(ofCommit: 86_400_000_000 + 3_600_000_000 * 5 + 7)
        #expect(period.hour == 5 && period.day == 1)
        let times: Range<Int64> = 104_400_000_000..<108_000_000_000
        #expect(period.times == times)
        for time in [Int64.min, Int64.min + 1, Int64.max - 1] {
            #expect(try PathTemplate("{hour}").period(ofCommit: time).times.contains(time))
        }
    }

    @Test(arguments: [
        ("out/{tabel}.jsonl", "did you mean {table}?"), ("{Date}.x", "did you mean {date}?"), ("{minute}", "{schema}"),
        ("{", "{schema}"), ("a}b", "{schema}"), ("{}", "{schema}"), ("", "out/"), ("out/", "out/"),
    ])
    func aBadTemplateIsRefusedWithWhatToWrite(template: String, hint: String) {
        let problem = #expect(throws: SettingProblem.self) { _ = try settings(template) }
        #expect(problem?.setting == "path")
        #expect(problem?.hint?.contains(hint) == true)
    }

    @Test(arguments: [
        ("..", "%2E."), (".", "%2E"), ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"), ("a/b", "a%2Fb"),
        (".hidden", "%2Ehidden"), ("50%", "50%25"), ("a\u{0}b\n", "a%00b%0A"), ("", "%"), ("größe.v2", "größe.v2"),
        ("%2F", "%252F"), ("\u{7F}", "%7F"),
    ])
    func noNameLeavesItsFolder(name: String, safe: String) {
        #expect(PathTemplate.safeName(name) == safe)
        #expect(!safe.contains("/"))
        #expect(decoded(safe) == name)
    }

    @Test func aTopicThatARowChoseIsOneNameInItsFolder() throws {
        func path(_ topic: String?) throws -> String {
            let template = try PathTemplate("out/{topic}.jsonl")
            return template.path(
                Topic(schema: "public", table: "outbox", routed: topic), template.period(ofCommit: 0))
        }
        #expect(try path("outbox.event.Order") == "out/outbox.event.Order.jsonl")
        #expect(try path("../../etc/passwd") == "out/%2E.%2F..%2Fetc%2Fpasswd.jsonl")
        #expect(try path("..") == "out/%2E..jsonl" && path("") == "out/%.jsonl")
        #expect(try path(nil) == "out/public.outbox.jsonl", "events of a table have its name for a topic")
        // 200 bytes are kept as they are; of longer names each has its own short one.
        let names =
            ["a", "b"].map { String(repeating: "/", count: 66) + "ü" + $0 } + [String(repeating: "ü", count: 101)]
        let paths = try names.map { try path($0) }
        #expect(Set(paths).count == 3 && paths.allSatisfy { $0.utf8.count <= 4 + 200 + 6 })
        #expect(paths.allSatisfy { $0.contains("%~") && !$0.dropFirst(4).contains("/") })
        #expect(try paths[0] == path(names[0]) && path(String(repeating: "x", count: 200)).utf8.count == 210)
    }

    /// Reads a safe name back.
    private func decoded(_ safe: String) -> String {
        guard safe != "%" else { return "" }
        var bytes: [UInt8] = []
        var rest = Array(safe.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        arguments: [
            (0, "1970-01-01"), (-1, "1969-12-31"), (1_795_219_200_000_000, "2026-11-21"),
            (1_795_219_199_999_999, "2026-11-20"), (951_782_400_000_000, "2000-02-29"),
            (4_107_542_400_000_000, "2100-03-01"),
            (-62_135_596_800_000_000, "0001-01-01"),
        ] as [(Int64, String)])
    func datesAreThoseOfUTC(time: Int64, text: String) {
        let day = CalendarDay.number(ofMicroseconds: time)
        #expect(CalendarDay(day).text == text)
        #expect(CalendarDay.times(ofDay: day).contains(time))
    }

    @Test func timesAtTheEndsOf64BitsHaveADate() {
        for time in [Int64.min, .min + 1, .max - 1, .max] {
            let day = CalendarDay.number(ofMicroseconds: time)
            #expect(!CalendarDay(day).text.isEmpty)
            #expect(time == .max || CalendarDay.times(ofDay: day).contains(time))
        }
    }

    @Test func theFolderWithoutPlaceholdersIsKnown() throws {
        #expect(try PathTemplate("a/b/{table}.x").literalFolder == "a/b")
        #expect(try PathTemplate("{table}.x").literalFolder == ".")
        #expect(try PathTemplate("/x").literalFolder == "/")
        #expect(try PathTemplate("a/b-{date}/c").literalFolder == "a")
    }

    @Test func aTemplateIsResolvedAsFarAsThereIsNoPlaceholder() throws {
        let here = try PathTemplate("x").resolvedText.dropLast(2)
        #expect(here.hasPrefix("/"))
        #expect(try PathTemplate("./a//{table}/./b").resolvedText == here + "/a/{table}/b")
        #expect(try PathTemplate("missing/../{table}").resolvedText == here + "/{table}")
        #expect(try PathTemplate("/../..//missing/x").resolvedText == "/missing/x")
        #expect(try PathTemplate("/proc/self/{table}").resolvedText == "/proc/\(getpid())/{table}")
        #expect(try PathTemplate("/proc/{date}/../self").resolvedText == "/proc/self")
    }
}

import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventFormat
import JSONText
import Testing

/// Values as Debezium spells them, in each mode.
struct DebeziumValueTests {
    private struct Sample {
        var type: ValueType
        var name: String
        var text: String
        var json: String
        var shape: TypeShape?
        var options = DebeziumOptions()

        init(
            _ type: ValueType, _ name: String, _ text: String, _ json: String, shape: TypeShape? = nil,
            _ change: (inout DebeziumOptions) -> Void = { _ in }
        ) {
            (self.type, self.name, self.text, self.json, self.shape) = (type, name, text, json, shape)
            change(&options)
        }
    }

    private func check(_ samples: [Sample]) throws {
        for sample in samples {
            let column = Column(name: "v", type: sample.type, typeName: sample.name, shape: sample.shape)
            let relation = Relation(sourceID: 1, schema: "public", name: "t", columns: [column])
            let line = try #require(
                encode([.insert([.text(sample.text)])], of: relation, format: .debezium, debezium: sample.options).lines
                    .first)
            let value = try JSONValue(parsing: line)["after"]?["v"]?.compactText
            #expect(value == sample.json, "\(sample.name) \(sample.text)")
        }
    }

    private func times(_ mode: DebeziumOptions.Times) -> (inout DebeziumOptions) -> Void { { $0.times = mode } }

    @Test func decimalNumbersAreBigIntegersTextsOrNumbers() throws {
        let text: (inout DebeziumOptions) -> Void = { $0.decimals = .string }
        let number: (inout DebeziumOptions) -> Void = { $0.decimals = .double }
        try check([
            Sample(.numeric, "numeric(10,2)", "-0.10", #""9g==""#),
            Sample(.numeric, "numeric(10,2)", "0.00", #""AA==""#),
            Sample(.numeric, "numeric(10,2)", "1.27", #""fw==""#),
            Sample(.numeric, "numeric(10,2)", "1.28", #""AIA=""#),
            Sample(.numeric, "numeric(10,2)", "-1.28", #""gA==""#),
            Sample(.numeric, "numeric(10,2)", "-1.29", #""/38=""#),
            Sample(.numeric, "numeric(10,2)", "-2.56", #""/wA=""#),
            Sample(.numeric, "numeric(5)", "12345", #""MDk=""#),
            Sample(.numeric, "numeric(2,-3)", "12000", #""DA==""#),
            // 2^64 and its neighbours, below zero and above.
            Sample(.numeric, "numeric(30,0)", "18446744073709551615", #""AP//////////""#),
            Sample(.numeric, "numeric(30,0)", "18446744073709551616", #""AQAAAAAAAAAA""#),
            Sample(.numeric, "numeric(30,0)", "-18446744073709551616", #""/wAAAAAAAAAA""#),
            Sample(.numeric, "numeric(30,0)", "-9223372036854775808", #""gAAAAAAAAAA=""#),
            Sample(.numeric, "numeric", "12345678901234567890.123456789", #"{"scale":9,"value":"J+QbMka+ybFuOYEV"}"#),
            Sample(.numeric, "numeric", "1.50", #"{"scale":1,"value":"Dw=="}"#),
            Sample(.numeric, "numeric", "100", #"{"scale":0,"value":"ZA=="}"#),
            Sample(.numeric, "numeric", "0.000", #"{"scale":0,"value":"AA=="}"#),
            Sample(.numeric, "numeric", "NaN", "null"), Sample(.numeric, "numeric", "-Infinity", "null"),
            Sample(.numeric, "numeric", "NaN", #""NAN""#, text),
            Sample(.numeric, "numeric", "Infinity", #""POSITIVE_INFINITY""#, text),
            Sample(.numeric, "numeric(10,2)", "-0.10", #""-0.10""#, text),
            Sample(.numeric, "numeric(10,2)", "-0.10", "-0.10", number),
            Sample(.numeric, "numeric", "NaN", #""NaN""#, number),
            Sample(.numeric, "numeric", "no number", #""no number""#),
            Sample(.other, "money", "$1,234.56", #""AeJA""#), Sample(.other, "money", "-$0.05", #""+w==""#),
            Sample(.other, "money", "($12.34)", #""-12.34""#, text),
            Sample(.other, "money", "1.234,50 €", #""1234.50""#, text),
            Sample(.other, "money", "¥1,234", #""1234""#, text),
        ])
    }

    /// The bytes of a big integer, against the arithmetic of the standard library.
    @Test func decimalNumbersOfAnyLengthReadBackAsTheyWere() throws {
        var dice = SeededGenerator(seed: 7)
        for _ in 0..<400 {
            let digits = String((0..<(1 + dice.below(36))).map { _ in Character(String(dice.below(10))) })
            let text = (dice.below(2) == 0 ? "-" : "") + digits
            let relation = Relation(
                sourceID: 1, schema: "public", name: "t",
                columns: [Column(name: "v", type: .numeric, typeName: "numeric")])
            let line = try #require(encode([.insert([.text(text)])], of: relation, format: .debezium).lines.first)
            let base64 = try #require(JSONValue(parsing: line)["after"]?["v"]?["value"]?.string)
            #expect(Int128(text) == bigInteger(base64))
        }
    }

    private func bigInteger(_ base64: String) -> Int128 {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var bits = base64.filter { $0 != "=" }.flatMap { character -> [Int] in
            let value = alphabet.firstIndex(of: character) ?? 0
            return (0..<6).map { value >> (5 - $0) & 1 }
        }
        bits.removeLast(bits.count % 8)
        var value: Int128 = bits[0] == 1 ? -1 : 0
        for bit in bits { value = value << 1 | Int128(bit) }
        return value
    }

    @Test func datesAndTimesAreNumbersOrISO() throws {
        try check([
            Sample(.date, "date", "2026-11-21", "20778"), Sample(.date, "date", "1969-12-31", "-1"),
            Sample(.date, "date", "0044-03-15 BC", "-735160"), Sample(.date, "date", "infinity", "-2147472692"),
            Sample(.date, "date", "-infinity", "-2147472691"),
            Sample(.date, "date", "2026-11-21", #""2026-11-21Z""#, times(.isostring)),
            Sample(.date, "date", "12345-01-01", #""+12345-01-01Z""#, times(.isostring)),
            Sample(.date, "date", "0044-03-15 BC", #""-0043-03-15Z""#, times(.isostring)),
            Sample(.date, "date", "infinity", #""-5877611-06-21Z""#, times(.isostring)),
            Sample(.date, "date", "-infinity", #""-5877611-06-22Z""#, times(.isostring)),
            Sample(.time, "time without time zone", "24:00:00", "86400000000"),
            Sample(.time, "time(3) without time zone", "10:00:00.5", "36000500"),
            Sample(.time, "time(3) without time zone", "10:00:00.5", "36000500000", times(.adaptiveTimeMicroseconds)),
            Sample(.time, "time without time zone", "00:00:00.000001", "1000", times(.nanoseconds)),
            Sample(.time, "time without time zone", "24:00:00", #""00:00:00Z""#, times(.isostring)),
            Sample(.time, "time without time zone", "10:00:00.5", #""10:00:00.5Z""#, times(.isostring)),
            Sample(.timestamp, "timestamp without time zone", "2026-11-21 10:00:00.123456", "1795255200123456"),
            Sample(.timestamp, "timestamp(3) without time zone", "2026-11-21 10:00:00.123", "1795255200123"),
            Sample(.timestamp, "timestamp(3) without time zone", "1969-12-31 23:59:59.999", "-1"),
            Sample(.timestamp, "timestamp without time zone", "2026-11-21 10:00:00", "1795255200000", times(.connect)),
            Sample(
                .timestamp, "timestamp without time zone", "2026-11-21 10:00:00.1", "1795255200100000000",
                times(.nanoseconds)),
            Sample(.timestamp, "timestamp without time zone", "-infinity", "-9223372036832400000"),
            Sample(.timestamp, "timestamp without time zone", "infinity", "9223372036825200000"),
            Sample(
                .timestamp, "timestamp without time zone", "-infinity", #""-290308-12-21T19:59:27.6Z""#,
                times(.isostring)),
            Sample(
                .timestamp, "timestamp without time zone", "2026-11-21 10:00:00", #""2026-11-21T10:00:00Z""#,
                times(.isostring)),
            Sample(
                .timestampTZ, "timestamp with time zone", "2026-11-21 08:00:00.5+00",
                #""2026-11-21T08:00:00.500000Z""#),
            Sample(.timestampTZ, "timestamp(0) with time zone", "2026-11-21 08:00:00+00", #""2026-11-21T08:00:00Z""#),
            Sample(
                .timestampTZ, "timestamp(3) with time zone", "2026-11-21 08:00:00+00", #""2026-11-21T08:00:00.000Z""#),
            Sample(.timestampTZ, "timestamp with time zone", "-infinity", #""-infinity""#),
            Sample(.timeTZ, "time with time zone", "12:34:56.789+02", #""10:34:56.789Z""#),
            Sample(.timeTZ, "time with time zone", "01:00:00+05:30", #""19:30:00Z""#),
            Sample(.timeTZ, "time with time zone", "23:00:00-02", #""01:00:00Z""#),
            Sample(.date, "date", "2026-13-01", #""2026-13-01""#),
        ])
    }

    @Test func intervalsAreMicrosecondsOrISO() throws {
        let text: (inout DebeziumOptions) -> Void = { $0.intervals = .string }
        try check([
            Sample(.interval, "interval", "P1Y2M-3DT4H5M6.789S", "36572706789000"),
            Sample(.interval, "interval", "P-1D", "-86400000000"), Sample(.interval, "interval", "PT0S", "0"),
            Sample(.interval, "interval", "PT-0.000001S", "-1"),
            Sample(.interval, "interval", "P178000000Y", "9223372036854775807"),
            Sample(.interval, "interval", "P999999999999Y", "9223372036854775807"),
            Sample(.interval, "interval", "P-999999999999Y-999999999999M", "-9223372036854775808"),
            Sample(.interval, "interval", "P1Y2M-3DT4H5M6.789S", #""P1Y2M-3DT4H5M6.789S""#, text),
            Sample(.interval, "interval", "P-1D", #""P0Y0M-1DT0H0M0S""#, text),
            Sample(.interval, "interval", "PT-6.5S", #""P0Y0M0DT0H0M-6.5S""#, text),
        ])
    }

    @Test func bitsPointsAndStoresAreTakenApart() throws {
        let map: (inout DebeziumOptions) -> Void = { $0.hstores = .map }
        try check([
            Sample(.other, "bit(3)", "101", #""BQ==""#), Sample(.other, "bit(10)", "1000000001", #""AQI=""#),
            Sample(.other, "bit(10)", "0000000001", #""AQ==""#), Sample(.other, "bit varying(9)", "000", #""""#),
            Sample(.other, "bit(1)", "1", "true"), Sample(.other, "bit varying(1)", "0", "false"),
            Sample(.other, "bit", "1", "true"), Sample(.other, "oid", "4294967295", "4294967295"),
            Sample(
                .other, "point", "(1.5,-2)", #"{"x":1.5,"y":-2.0,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":null}"#),
            Sample(
                .other, "point", "(1e+300,NaN)",
                #"{"x":1e+300,"y":"NaN","wkb":"AQEAAACcdQCIPOQ3fgAAAAAAAPh/","srid":null}"#),
            Sample(.other, "public.hstore", #""k"=>"v", "n"=>NULL"#, #""{\"k\":\"v\",\"n\":null}""#),
            Sample(.other, "hstore", #""a\"\\b"=>"\\""#, #"{"a\"\\b":"\\"}"#, map),
            Sample(.other, "hstore", "", "{}", map), Sample(.other, "hstore", "nonsense", #""nonsense""#),
            Sample(.bytes, "bytea", #"\x00ff"#, #""AP8=""#),
            Sample(.other, "box", "(1,1),(0,0)", #""(1,1),(0,0)""#),
            Sample(.boolean, "boolean", "t", "true"), Sample(.float64, "double precision", "NaN", #""NaN""#),
            Sample(.json, "jsonb", #"{"b": [1, null]}"#, #""{\"b\": [1, null]}""#, shape: .json),
            Sample(
                .other, "int4range", "[1,5)", #""[1,5)""#,
                shape: .range(of: PartType(type: .int32, typeName: "integer"))),
            Sample(.other, "mood", "happy \"so\"", #""happy \"so\"""#, shape: .enumeration(["sad"])),
        ])
    }

    @Test func arraysAreArraysOfTheirElementsForm() throws {
        func array(_ type: ValueType, _ name: String) -> TypeShape {
            .array(of: PartType(type: type, typeName: name), delimiter: UInt8(ascii: ","))
        }
        try check([
            Sample(.other, "integer[]", "{1,NULL,3}", "[1,null,3]", shape: array(.int32, "integer")),
            Sample(
                .other, "text[]", #"{a,"b c",NULL,"q\"x"}"#, #"["a","b c",null,"q\"x"]"#, shape: array(.text, "text")),
            Sample(.other, "numeric(4,1)[]", "{0.1,1.0}", #"["AQ==","Cg=="]"#, shape: array(.numeric, "numeric(4,1)")),
            Sample(.other, "date[]", "{1970-01-02,infinity}", "[1,-2147472692]", shape: array(.date, "date")),
            Sample(.other, "bytea[]", #"{"\\x00ff"}"#, #"["AP8="]"#, shape: array(.bytes, "bytea")),
            Sample(.other, "integer[]", "{{1,2},{3,4}}", "[[1,2],[3,4]]", shape: array(.int32, "integer")),
            Sample(.other, "integer[]", "{}", "[]", shape: array(.int32, "integer")),
            Sample(.other, "integer[]", "[0:1]={1,2}", #""[0:1]={1,2}""#, shape: array(.int32, "integer")),
        ])
    }

    @Test func whatIsNotKnownHasAWordInTheFormOfItsType() throws {
        func array(_ type: ValueType, _ name: String) -> TypeShape {
            .array(of: PartType(type: type, typeName: name), delimiter: UInt8(ascii: ","))
        }
        let relation = Relation(
            sourceID: 1, schema: "public", name: "t",
            columns: [
                column("id", .int32, key: 0), column("text"), column("bytes", .bytes),
                Column(name: "texts", type: .other, typeName: "text[]", shape: array(.text, "text")),
                Column(name: "numbers", type: .other, typeName: "integer[]", shape: array(.int32, "integer")),
                Column(name: "store", type: .other, typeName: "hstore"),
            ])
        let line = try #require(
            encode(
                [.update(to: ["1", .unchanged, .unchanged, .unchanged, .unchanged, .unchanged])], of: relation,
                format: .debezium
            ).lines.first)
        let after = try #require(JSONValue(parsing: line)["after"])
        let word = "__debezium_unavailable_value"
        #expect(after["text"]?.string == word)
        #expect(after["bytes"]?.string == "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==")
        #expect(after["texts"]?.compactText == #"["\#(word)"]"#)
        #expect(after["numbers"]?.array?.map { $0.number?.integer } == word.utf8.map { Int($0) })
        #expect(after["store"]?.string == #"{"\#(word)":"\#(word)"}"#)
    }

    /// Whatever stands where a value should: JSON comes of it, and nothing traps.
    @Test func damagedTextsOfEveryTypeAreJSONAllTheSame() throws {
        var dice = SeededGenerator(seed: 21)
        let marks = Array("0-9 .:TPZ,\"\\(){}=>Ne".utf8)
        let types: [(ValueType, String, [String])] = [
            (.numeric, "numeric", ["-12.50", "1", "NaN"]), (.numeric, "numeric(9,2)", ["-12.50", "1.5.5"]),
            (.date, "date", ["2026-11-21", "infinity", "0044-03-15 BC"]),
            (.time, "time", ["24:00:00.123456"]), (.timeTZ, "timetz", ["12:34:56.789+05:30:15"]),
            (.timestamp, "timestamp(2)", ["2026-11-21 10:00:00.12"]),
            (.timestampTZ, "timestamptz", ["2026-11-21 10:00:00.12+00 BC"]),
            (.interval, "interval", ["P1Y2M-3DT4H5M6.789S"]), (.other, "money", ["$1,234.50"]),
            (.other, "bit(9)", ["101010101"]), (.other, "point", ["(1.5,-2)"]),
            (.other, "hstore", [#""k"=>"v", "n"=>NULL, "x"=>"a\"b""#]), (.bytes, "bytea", ["\\x00ff"]),
        ]
        for mode in [DebeziumOptions.Times.adaptive, .isostring, .nanoseconds] {
            for _ in 0..<1500 {
                let (type, name, texts) = types[dice.below(types.count)]
                var bytes = Array(texts[dice.below(texts.count)].utf8)
                for _ in 0..<dice.below(3) {
                    let place = dice.below(bytes.count)
                    switch dice.below(3) {
                    case 0: bytes[place] = marks[dice.below(marks.count)]
                    case 1: if bytes.count > 1 { bytes.remove(at: place) }
                    default: bytes.insert(bytes[place], at: place)
                    }
                }
                var options = DebeziumOptions()
                options.times = mode
                options.intervals = mode == .isostring ? .string : .numeric
                options.hstores = mode == .isostring ? .map : .json
                let relation = Relation(
                    sourceID: 1, schema: "s", name: "t", columns: [Column(name: "v", type: type, typeName: name)])
                let line = try #require(
                    encode(
                        [.insert([.text(String(decoding: bytes, as: UTF8.self))])], of: relation, format: .debezium,
                        debezium: options
                    ).lines.first)
                #expect(try JSONValue(parsing: line).compactText == line)
            }
        }
    }
}

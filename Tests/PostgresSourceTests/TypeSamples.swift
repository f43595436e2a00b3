import JSONText

/// A type of PostgreSQL with values and what events say for them. Whoever reads rows by another way than the stream
/// (COPY, SELECT) must arrive at the same.
struct TypeSample {
    /// The type's name in SQL.
    var type: String
    /// Literals without their quotes, and the JSON of each.
    var values: [(literal: String, json: String)]

    init(_ type: String, _ values: (String, String)...) {
        self.type = type
        self.values = values
    }

    /// The JSON of a value as our own writer spells it.
    func json(_ index: Int) throws -> String { try JSONValue(parsing: values[index].json).compactText }

    /// A type whose values are strings of their own text.
    static func text(_ type: String, _ literals: String...) -> TypeSample {
        var sample = TypeSample(type)
        sample.values = literals.map { ($0, "\"\($0)\"") }
        return sample
    }

    /// What the samples of ``all`` need.
    static let preparation = """
        CREATE TYPE mood AS ENUM ('sad', 'so "so"', '{ok}', '', 'NULL', 'a,b', 'zu\u{308}\u{1F600}');
        CREATE TYPE address AS (street text, "House No." int4, since date);
        CREATE TYPE nobody AS ();
        CREATE TYPE person AS (name text, home address, moods mood[], "a b" bytea);
        CREATE DOMAIN cents AS int8 CHECK (VALUE >= 0);
        CREATE DOMAIN short_text AS varchar(10);
        CREATE DOMAIN shorter_text AS short_text;
        CREATE DOMAIN int_list AS int4[];
        CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");
        CREATE TYPE moodrange AS RANGE (subtype = mood);
        CREATE TYPE floatrange AS RANGE (subtype = float8);
        """

    static let all = plain + times + other + structured + (TestServer.version >= 150_000 ? since15 : [])
}

extension TypeSample {
    /// What a server before 15 refuses to make a column of.
    private static let since15 = [TypeSample("numeric(3,-2)", ("12345", #""12300""#))]

    private static let plain = [
        TypeSample("bool", ("t", "true"), ("f", "false")),
        TypeSample("int2", ("-32768", "-32768"), ("32767", "32767")),
        TypeSample("int4", ("-2147483648", "-2147483648"), ("0", "0")),
        TypeSample(
            "int8", ("-9223372036854775808", "-9223372036854775808"), ("9007199254740993", "9007199254740993"),
            ("9223372036854775807", "9223372036854775807")),
        TypeSample(
            "float4", ("1.5", "1.5"), ("-0", "-0"), ("1e-30", "1e-30"), ("3.4028235e38", "3.4028235e+38"),
            ("NaN", #""NaN""#), ("Infinity", #""Infinity""#), ("-Infinity", #""-Infinity""#)),
        TypeSample(
            "float8", ("0.1", "0.1"), ("-0", "-0"), ("1e300", "1e+300"), ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"), ("0.30000000000000004", "0.30000000000000004"),
            ("NaN", #""NaN""#), ("Infinity", #""Infinity""#), ("-Infinity", #""-Infinity""#)),
        text(
            "numeric", "1.50", "-0.000000000000000000001",
            "12345678901234567890123456789012345678901234567890.0123456789",
            "0", "NaN", "Infinity", "-Infinity"),
        text("numeric(12,2)", "1.50", "-9999999999.99"),
        TypeSample(
            "text", ("", #""""#),
            ("a\u{1}\u{8}\u{9}\u{A}\u{B}\u{C}\u{D}\u{1F}\u{7F}", #""a\u0001\b\t\n\u000b\f\r\u001f"# + "\u{7F}\""),
            (
                #"quote " backslash \ slash / brace {} comma , bracket ()[]"#,
                #""quote \" backslash \\ slash / brace {} comma , bracket ()[]""#
            ),
            (
                "\u{E9}\u{65E5}\u{1F600}\u{10FFFF}\u{2028}\u{FFFE}",
                "\"\u{E9}\u{65E5}\u{1F600}\u{10FFFF}\u{2028}\u{FFFE}\""
            ),
            ("NULL", #""NULL""#), ("null", #""null""#), (" a ", #"" a ""#), (#"\N"#, #""\\N""#), (#"\."#, #""\\.""#)),
        text("varchar(20)", "", "abc", "trailing "),
        TypeSample("char(5)", ("ab", #""ab   ""#), ("", #""     ""#), ("abcde", #""abcde""#)),
        TypeSample(#""char""#, ("x", #""x""#), ("", #""""#)),
        text("name", "a name"),
        TypeSample(
            "bytea", (#"\x"#, #""""#), (#"\x00"#, #""AA==""#), (#"\xdeadbeef"#, #""3q2+7w==""#),
            (#"\x5c22"#, #""XCI=""#), (#"\xff7b7d2c"#, #""/3t9LA==""#)),
        TypeSample("uuid", ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", #""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#)),
    ]

    private static let times = [
        text(
            "date", "2026-11-21", "0001-01-01", "9999-12-31", "10000-01-01", "5874897-12-31", "0044-03-15 BC",
            "4713-01-01 BC", "infinity", "-infinity"),
        text("time", "00:00:00", "24:00:00", "10:00:00.123456", "10:00:00.1"),
        text("time(2)", "10:00:00.12"),
        TypeSample(
            "timetz", ("10:00:00+02", #""10:00:00+02:00""#), ("24:00:00+00", #""24:00:00+00:00""#),
            ("10:00:00.123456-05:30", #""10:00:00.123456-05:30""#), ("10:00:00+15:59:59", #""10:00:00+15:59:59""#)),
        TypeSample(
            "timestamp", ("2026-11-21 10:00:00", #""2026-11-21T10:00:00""#),
            ("2026-11-21 10:00:00.000001", #""2026-11-21T10:00:00.000001""#),
            ("0001-01-01 00:00:00", #""0001-01-01T00:00:00""#),
            ("9999-12-31 23:59:59.999999", #""9999-12-31T23:59:59.999999""#),
            ("10000-01-01 00:00:00", #""10000-01-01 00:00:00""#),
            ("294276-12-31 23:59:59.999999", #""294276-12-31 23:59:59.999999""#),
            ("0044-03-15 10:00:00 BC", #""0044-03-15 10:00:00 BC""#),
            ("4713-01-01 00:00:00 BC", #""4713-01-01 00:00:00 BC""#),
            ("infinity", #""infinity""#), ("-infinity", #""-infinity""#)),
        TypeSample("timestamp(3)", ("2026-11-21 10:00:00.1239", #""2026-11-21T10:00:00.124""#)),
        TypeSample(
            "timestamptz", ("2026-11-21 10:00:00.5+02", #""2026-11-21T08:00:00.5Z""#),
            ("2026-11-21 10:00:00.123456+00", #""2026-11-21T10:00:00.123456Z""#),
            ("1891-01-01 00:00:00 Europe/Paris", #""1890-12-31T23:50:39Z""#),
            ("0044-03-15 10:00:00+00 BC", #""0044-03-15 10:00:00+00 BC""#),
            ("12026-11-21 10:00:00+00", #""12026-11-21 10:00:00+00""#),
            ("infinity", #""infinity""#), ("-infinity", #""-infinity""#)),
        TypeSample(
            "interval", ("1 year 2 mons 3 days 04:05:06.000007", #""P1Y2M3DT4H5M6.000007S""#),
            ("1 mon -1 day +00:00:01", #""P1M-1DT1S""#), ("0", #""PT0S""#), ("-0.000001 s", #""PT-0.000001S""#),
            ("1 day", #""P1D""#), ("24:00:00", #""PT24H""#), ("-178000000 years", #""P-178000000Y""#)),
    ]

    private static let other = [
        TypeSample(
            "json", (#"{"a": 1, "a": 2,  "b":[ ]}"#, #"{"a":1,"a":2,"b":[]}"#),
            (
                "{\n\t\"long\" :\r\n 123456789012345678901234567890.00100e+0005 }",
                #"{"long":123456789012345678901234567890.00100e+0005}"#
            ),
            (#""a \u00e9 \ud83d\ude00 \u0000 \/ \\""#, #""a \u00e9 \ud83d\ude00 \u0000 \/ \\""#),
            ("\"\u{7F}\u{E9}\u{1F600}\"", "\"\u{7F}\u{E9}\u{1F600}\""),
            ("[]", "[]"), ("true", "true"), (" -0.0 ", "-0.0"), (#""null""#, #""null""#)),
        TypeSample(
            "jsonb", (#"{"b": [1, {"c": null}], "a": 1.10}"#, #"{"a":1.10,"b":[1,{"c":null}]}"#), (#""x""#, #""x""#),
            ("1e3", "1000"), ("false", "false"), ("{}", "{}")),
        TypeSample("jsonpath", (#"$."a"[*]"#, #""$.\"a\"[*]""#), ("$", #""$""#)),
        text("bit(3)", "101"), text("varbit", "", "0110"), text("bit", "1"),
        text("inet", "192.168.0.1", "10.0.0.0/8", "2001:db8::1/64"), text("cidr", "10.0.0.0/8", "::/0"),
        text("macaddr", "08:00:2b:01:02:03"), text("macaddr8", "08:00:2b:01:02:03:04:05"),
        text("money", "$1,234.50", "-$0.01"),
        text("xml", "<a b='c'>\u{E9}</a>"), text("tsvector", "'a':1A 'b'"), text("tsquery", "'a' & 'b'"),
        text("point", "(1,2.5)"), text("lseg", "[(1,2),(3,4)]"), text("box", "(3,4),(1,2)"),
        text("path", "((0,0),(1,1))", "[(0,0),(1,1)]"), text("polygon", "((0,0),(1,1))"),
        text("line", "{1,2,3}"), text("circle", "<(0,0),2>"),
        text("oid", "4294967295"), text("xid", "4294967295"), text("cid", "1"), text("xid8", "18446744073709551615"),
        text("tid", "(0,1)"), text("pg_lsn", "16/B374D848"), text("pg_snapshot", "10:20:10,14,15"),
        text("txid_snapshot", "10:20:10,14,15"), text("regclass", "pg_class", "1"), text("regtype", "integer"),
        text("regrole", "pg_monitor"), text("aclitem", "pg_monitor=r/pg_monitor"), text("refcursor", "c"),
        text("regnamespace", "pg_catalog"), text("regproc", "now"),
        text("regprocedure", "abs(integer)"),
        text("regoper", "||/"), text("regoperator", "+(integer,integer)"),
        text("regconfig", "simple"), text("regdictionary", "simple"),
        TypeSample("regcollation", (#""C""#, #""\"C\"""#)),
    ]

    private static let structured = [
        TypeSample("int2vector", ("1 2 -3", "[1,2,-3]"), ("", "[]")),
        TypeSample("oidvector", ("1 4294967295", #"["1","4294967295"]"#)),
        TypeSample(
            "int4[]", ("{1,NULL,-3}", "[1,null,-3]"), ("{}", "[]"), ("{{1,2},{3,NULL}}", "[[1,2],[3,null]]"),
            ("{{{{{{7}}}}}}", "[[[[[[7]]]]]]")),
        TypeSample(
            "text[]",
            (
                #"{a,"NULL",NULL,"null","","a b","{","}",",","\"","\\","é😀"}"#,
                #"["a","NULL",null,"null","","a b","{","}",",","\"","\\","é😀"]"#
            ),
            (#"{"\\\"x\\\"","\\\\"}"#, #"["\\\"x\\\"","\\\\"]"#), (#"{{"a,b"},{c}}"#, #"[["a,b"],["c"]]"#)),
        TypeSample("box[]", ("{(3,4),(1,2);(1,1),(0,0)}", #"["(3,4),(1,2)","(1,1),(0,0)"]"#)),
        TypeSample(
            "float8[]", ("{1.5,-0,NaN,Infinity,-Infinity,NULL}", #"[1.5,-0,"NaN","Infinity","-Infinity",null]"#)),
        TypeSample("bytea[]", (#"{"\\xdead","\\x",NULL}"#, #"["3q0=","",null]"#)),
        TypeSample("bool[]", ("{t,f,NULL}", "[true,false,null]")),
        TypeSample("timestamptz[]", (#"{"2026-11-21 10:00:00+00",infinity}"#, #"["2026-11-21T10:00:00Z","infinity"]"#)),
        TypeSample("jsonb[]", (#"{"{\"a\": [1, null]}",1,"\"x\"",NULL}"#, #"[{"a":[1,null]},1,"x",null]"#)),
        TypeSample("varchar(3)[]", ("{abc,a}", #"["abc","a"]"#)), TypeSample("numeric(6,2)[]", ("{1.5}", #"["1.50"]"#)),
        TypeSample(
            "mood", ("sad", #""sad""#), (#"so "so""#, #""so \"so\"""#), ("{ok}", #""{ok}""#), ("", #""""#),
            ("zu\u{308}\u{1F600}", "\"zu\u{308}\u{1F600}\"")),
        TypeSample(
            "mood[]",
            (#"{sad,"so \"so\"","{ok}","","NULL","a,b",NULL}"#, #"["sad","so \"so\"","{ok}","","NULL","a,b",null]"#)),
        TypeSample(
            "address",
            (
                #"("Main St. ""A"" \\ (b), [c]",7,2026-11-21)"#,
                #"{"street":"Main St. \"A\" \\ (b), [c]","House No.":7,"since":"2026-11-21"}"#
            ),
            ("(,,)", #"{"street":null,"House No.":null,"since":null}"#),
            (#"("",0,infinity)"#, #"{"street":"","House No.":0,"since":"infinity"}"#),
            ("(a]b,1,)", #"{"street":"a]b","House No.":1,"since":null}"#)),
        TypeSample("nobody", ("()", "{}")),
        TypeSample(
            "person",
            (
                #"("A ""B""","(""Main, St."",7,)","{sad,""so \\""so\\"""",NULL}","\\xdead")"#,
                #"{"name":"A \"B\"","home":{"street":"Main, St.","House No.":7,"since":null},"#
                    + #""moods":["sad","so \"so\"",null],"a b":"3q0="}"#
            ),
            ("(,,,)", #"{"name":null,"home":null,"moods":null,"a b":null}"#)),
        TypeSample(
            "person[]",
            (
                #"{"(\"a,b\",\"(\"\"\\\\\\\\ \"\",1,)\",{},)",NULL}"#,
                #"[{"name":"a,b","home":{"street":"\\ ","House No.":1,"since":null},"moods":[],"a b":null},null]"#
            )),
        TypeSample("cents", ("12345678901", "12345678901")), TypeSample("cents[]", ("{1,NULL}", "[1,null]")),
        text("shorter_text", "abc"), TypeSample("int_list", ("{1,2}", "[1,2]")),
        TypeSample("int_list[]", (#"{"{1,2}","{}",NULL}"#, "[[1,2],[],null]")),
        TypeSample(
            "int4range", ("[1,10)", range("1", "10", "[)")), ("(,5)", range("null", "5", "()")),
            ("[1,)", range("1", "null", "[)")),
            ("(,)", range("null", "null", "()")), ("empty", emptyRange)),
        TypeSample("int8range", ("[1,9223372036854775807)", range("1", "9223372036854775807", "[)"))),
        TypeSample(
            "numrange", ("(1.50,NaN]", range(#""1.50""#, #""NaN""#, "(]")),
            ("[1,Infinity]", range(#""1""#, #""Infinity""#, "[]"))),
        TypeSample("daterange", ("[2026-01-01,infinity)", range(#""2026-01-01""#, #""infinity""#, "[)"))),
        TypeSample(
            "tsrange",
            (
                #"["2026-01-01 10:00:00","2026-01-02 00:00:00.5")"#,
                range(#""2026-01-01T10:00:00""#, #""2026-01-02T00:00:00.5""#, "[)")
            )),
        TypeSample("tstzrange", (#"["2026-01-01 10:00:00+00",)"#, range(#""2026-01-01T10:00:00Z""#, "null", "[)"))),
        TypeSample(
            "textrange", (#"("","a ""]b""\\")"#, range(#""""#, #""a \"]b\"\\""#, "()")),
            ("[a,b]", range(#""a""#, #""b""#, "[]"))),
        TypeSample("moodrange", (#"[sad,"{ok}"]"#, range(#""sad""#, #""{ok}""#, "[]"))),
        TypeSample("floatrange", ("[-Infinity,1.5)", range(#""-Infinity""#, "1.5", "[)"))),
        TypeSample(
            "int4multirange", ("{[1,3),[5,)}", "[" + range("1", "3", "[)") + "," + range("5", "null", "[)") + "]"),
            ("{}", "[]")),
        TypeSample("nummultirange", ("{(,)}", "[" + range("null", "null", "()") + "]")),
        TypeSample(
            "datemultirange", ("{[2026-01-01,2026-01-02)}", "[" + range(#""2026-01-01""#, #""2026-01-02""#, "[)") + "]")
        ),
        TypeSample(
            "tsmultirange", (#"{["2026-01-01 00:00:00",)}"#, "[" + range(#""2026-01-01T00:00:00""#, "null", "[)") + "]")
        ),
        TypeSample(
            "tstzmultirange",
            (#"{["2026-01-01 00:00:00+00",)}"#, "[" + range(#""2026-01-01T00:00:00Z""#, "null", "[)") + "]")),
        TypeSample("int8multirange", ("{[1,2)}", "[" + range("1", "2", "[)") + "]")),
        TypeSample(
            "int4range[]",
            (
                #"{"[1,2)",empty,"(,)"}"#,
                "[" + range("1", "2", "[)") + "," + emptyRange + "," + range("null", "null", "()") + "]"
            )),
    ]

    private static func range(_ lower: String, _ upper: String, _ brackets: String) -> String {
        #"{"lower":\#(lower),"upper":\#(upper),"lower_inclusive":\#(brackets.hasPrefix("[")),"#
            + #""upper_inclusive":\#(brackets.hasSuffix("]")),"empty":false}"#
    }
    private static let emptyRange =
        #"{"lower":null,"upper":null,"lower_inclusive":false,"upper_inclusive":false,"empty":true}"#

    /// Values that no structure can hold: their text, and the column is listed in `as_text`.
    static let misfits = [
        TypeSample(
            "int4[]", ("[0:2]={1,2,3}", #""[0:2]={1,2,3}""#), ("[-1:0][2:2]={{1},{2}}", #""[-1:0][2:2]={{1},{2}}""#)),
        TypeSample("jsonb", ("null", #""null""#)), TypeSample("json", (" null ", #"" null ""#)),
        TypeSample(
            "json", (#""\ud800""#, #""\"\\ud800\"""#), (#"{"a":"\udc00\ud800"}"#, #""{\"a\":\"\\udc00\\ud800\"}""#)),
        TypeSample("jsonb[]", (#"{"null",1}"#, #""{\"null\",1}""#)),
        TypeSample(
            "json",
            (
                String(repeating: "[", count: 101) + String(repeating: "]", count: 101),
                "\"" + String(repeating: "[", count: 101) + String(repeating: "]", count: 101) + "\""
            )),
    ]
}

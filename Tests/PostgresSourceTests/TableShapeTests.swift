import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Tables, names, keys and types that are out of the ordinary, from the server to the event.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TableShapeTests {
    @Test func aTableWithoutColumnsHasEmptyRows() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE none (); ALTER TABLE none REPLICA IDENTITY FULL")
        let rows = try await SampleTable.captured(["INSERT INTO none DEFAULT VALUES"], in: database)
        #expect(rows.events.map(\.line) == ["{}"])
        #expect(rows.events.map(\.key) == ["null"])
        try rows.checkAgainstContract()
    }

    @Test func aTableOfAsManyColumnsAsTheServerAllowsIsWhole() async throws {
        let database = try TestDatabase()
        let columns = (1...1600).map { "c\($0) \($0 % 400 == 0 ? "int[]" : "int2")" }
        try database.run("CREATE TABLE wide (\(columns.joined(separator: ", ")), PRIMARY KEY (c1))")
        let values = (1...1600).map { $0 % 400 == 0 ? "'{\($0)}'" : "\($0)" }
        let rows = try await SampleTable.captured(
            ["INSERT INTO wide VALUES (\(values.joined(separator: ", ")))"], in: database)
        let expected = (1...1600).map { "\"c\($0)\":" + ($0 % 400 == 0 ? "[\($0)]" : "\($0)") }
        #expect(rows.events.map(\.line) == ["{" + expected.joined(separator: ",") + "}"])
        try rows.checkAgainstContract()
    }

    @Test func namesOfEveryKindStayAsTheyAre() async throws {
        let database = try TestDatabase()
        try database.run(
            #"""
            CREATE SCHEMA "odd ""schema"".x";
            CREATE TYPE "odd ""schema"".x"."Ty.pe, ""(é)" AS ("a ""b"".c\" int, "日本 😀" text);
            CREATE TABLE "odd ""schema"".x"."Ta.ble 'é'" ("Id" int PRIMARY KEY, "a.b c" text, """" int,
                "\" int, "日本😀" text, "select" bool, "$1" "odd ""schema"".x"."Ty.pe, ""(é)"[])
            """#)
        let insert = #"""
            INSERT INTO "odd ""schema"".x"."Ta.ble 'é'" VALUES (1, 'x', 2, 3, 'y', true,
                ARRAY[ROW(4, 'z')::"odd ""schema"".x"."Ty.pe, ""(é)"])
            """#
        let rows = try await SampleTable.captured([insert], in: database)
        #expect(rows.relation.qualifiedName == #"odd "schema".x.Ta.ble 'é'"#)
        let expected =
            #"{"Id":1,"a.b c":"x","\"":2,"\\":3,"日本😀":"y","select":true,"$1":[{"a \"b\".c\\":4,"日本 😀":"z"}]}"#
        #expect(rows.events.map(\.line) == [expected])
        try rows.checkAgainstContract()
    }

    @Test func droppedAndGeneratedColumnsLeaveTheOthersInPlace() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TYPE pair AS (x int, gone text, y int); ALTER TYPE pair DROP ATTRIBUTE gone;
            CREATE TABLE t (a int, b text, c int PRIMARY KEY, d int GENERATED ALWAYS AS (a * 2) STORED, e pair);
            ALTER TABLE t DROP COLUMN b; ALTER TABLE t ADD COLUMN f text DEFAULT 'f'
            """)
        let rows = try await SampleTable.captured(["INSERT INTO t (a, c, e) VALUES (1, 3, ROW(5, 6))"], in: database)
        #expect(rows.events.map(\.line) == [#"{"a":1,"c":3,"e":{"x":5,"y":6},"f":"f"}"#])
        #expect(rows.events.map(\.keyText) == ["3"])
        try rows.checkAgainstContract()
    }

    @Test func aRowTypeOfATableIsAComposite() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE a_part (id int PRIMARY KEY, junk text, tags text[]); ALTER TABLE a_part DROP COLUMN junk;
            CREATE TABLE whole (id int PRIMARY KEY, part a_part, parts a_part[])
            """)
        let rows = try await SampleTable.captured(
            ["INSERT INTO whole VALUES (1, ROW(2, '{a,b}'), ARRAY[ROW(3, NULL)::a_part, NULL])"], in: database)
        #expect(
            rows.events.map(\.line) == [
                #"{"id":1,"part":{"id":2,"tags":["a","b"]},"parts":[{"id":3,"tags":null},null]}"#
            ])
        try rows.checkAgainstContract()
    }

    @Test func keysOfEveryTypeHaveOneUnmistakableText() async throws {
        let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
        let cases: [(type: String, literal: String, key: String, text: String)] = [
            ("uuid", id, #""\#(id)""#, id), ("numeric", "1.50", #""1.50""#, "1.50"), ("bool", "t", "true", "true"),
            ("timestamptz", "2026-11-21 10:00:00.5+00", #""2026-11-21T10:00:00.5Z""#, "2026-11-21T10:00:00.5Z"),
            ("timestamp", "infinity", #""infinity""#, "infinity"),
            ("date", "0044-03-15 BC", #""0044-03-15 BC""#, "0044-03-15 BC"),
            ("timetz", "10:00:00+02", #""10:00:00+02:00""#, "10:00:00+02:00"),
            ("bytea", #"\xdead"#, #""3q0=""#, "3q0="),
            ("mood", #"so "so""#, #""so \"so\"""#, #"so "so""#), ("char(3)", "a", #""a  ""#, "a  "),
            ("text", "é,\\\n", #""é,\\\n""#, "é,\\\n"),
            ("int4[]", "{1,NULL}", "[1,null]", "{1,NULL}"), ("jsonb", #""1""#, #""1""#, #""1""#),
            ("jsonb", "1", "1", "1"),
            ("jsonb", "null", #""null""#, "null"), ("jsonb", #""null""#, #""null""#, #""null""#),
            ("address", "(a,7,)", #"{"street":"a","House No.":7,"since":null}"#, "(a,7,)"),
            (
                "int4range", "[1,10)",
                #"{"lower":1,"upper":10,"lower_inclusive":true,"upper_inclusive":false,"empty":false}"#, "[1,10)"
            ),
        ]
        let database = try TestDatabase()
        try database.run(TypeSample.preparation)
        for (number, sample) in cases.enumerated() {
            try database.run("CREATE TABLE k\(number) (k \(sample.type) PRIMARY KEY)")
            try database.run("CREATE TABLE p\(number) (a text, k \(sample.type), PRIMARY KEY (a, k))")
        }
        let reader = try SourceReader(database, tables: ["public.*"])
        try await reader.open()
        for (number, sample) in cases.enumerated() {
            let literal = SQLText.literal(sample.literal)
            try database.run(
                "INSERT INTO k\(number) VALUES (\(literal)); INSERT INTO p\(number) VALUES ('x,', \(literal))")
        }
        try await reader.catchUp()
        await reader.source.close()
        let events = try reader.seen.map { try SampleTable.events(of: [$0.after], relation: $0.relation)[0] }
        for (number, sample) in cases.enumerated() {
            #expect(events[number * 2].key == #"{"k":\#(sample.key)}"#)
            #expect(events[number * 2].keyText == sample.text)
            let escaped = sample.text.replacing("\\", with: "\\\\").replacing(",", with: "\\,")
            #expect(events[number * 2 + 1].keyText == "x\\,," + escaped)
        }
    }

    @Test func aTypeThatIsAlteredMeanwhileLosesNothing() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE pair AS (x int, y text);
            CREATE TABLE t (id int PRIMARY KEY, m mood, p pair, l pair[])
            """)
        let rows = try await SampleTable.captured(
            [
                "INSERT INTO t VALUES (1, 'sad', '(1,a)', '{\"(1,a)\"}')",
                "ALTER TYPE mood ADD VALUE 'ok' BEFORE 'sad'",
                "INSERT INTO t VALUES (2, 'ok', '(1,a)', '{}')", "ALTER TYPE pair ADD ATTRIBUTE z int",
                "INSERT INTO t VALUES (3, 'ok', '(1,a,3)', '{\"(1,a,)\"}')",
            ], in: database)
        #expect(
            rows.events.map(\.line) == [
                #"{"id":1,"m":"sad","p":{"x":1,"y":"a"},"l":[{"x":1,"y":"a"}]}"#,
                #"{"id":2,"m":"ok","p":{"x":1,"y":"a"},"l":[]}"#,
                #"{"id":3,"m":"ok","p":"(1,a,3)","l":"{\"(1,a,)\"}"}"#,
            ])
        #expect(rows.events.map(\.asText) == [[], [], ["p", "l"]])
        try rows.checkAgainstContract()
    }

    @Test func aTypeThatIsAlteredBeforeItsRowsAreReadLosesNothing() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TYPE pair AS (x int, y text); CREATE TABLE t (id int PRIMARY KEY, p pair)")
        let first = try SourceReader(database, tables: ["public.t"])
        try await first.open()
        await first.source.close()
        try database.run("INSERT INTO t VALUES (1, '(1,a)')")
        try database.run("ALTER TYPE pair ADD ATTRIBUTE z int")
        let rows = try await SampleTable.captured(["INSERT INTO t VALUES (2, '(2,b,3)')"], in: database)
        #expect(rows.events.map(\.line) == [#"{"id":1,"p":"(1,a)"}"#, #"{"id":2,"p":{"x":2,"y":"b","z":3}}"#])
        #expect(rows.events.map(\.asText) == [["p"], []])
    }

    /// Contributed modules that are there; a server without them has nothing to test.
    @Test(arguments: [
        ("hstore", #""a"=>"1", "b"=>NULL"#, #""\"a\"=>\"1\", \"b\"=>NULL""#), ("citext", "A,b", #""A,b""#),
        ("ltree", "Top.Science", #""Top.Science""#), ("cube", "(1, 2),(3, 4)", #""(1, 2),(3, 4)""#),
        ("isbn", "978-0-393-04002-9", #""0-393-04002-X""#),
        ("seg", "1 .. 2", #""1 .. 2""#),
    ])
    func typesOfExtensionsAreTheirText(_ type: String, _ literal: String, _ json: String) async throws {
        let database = try TestDatabase()
        let module = type == "isbn" ? "isn" : type
        let known = try database.value("SELECT 1 FROM pg_available_extensions WHERE name = '\(module)'")
        if known == nil { return }
        try database.run(
            """
            CREATE EXTENSION \(module); CREATE TYPE holder AS (v \(type)); CREATE DOMAIN d AS \(type);
            CREATE TABLE t (id int PRIMARY KEY, v \(type), l \(type)[], c holder, d d)
            """)
        let value = SQLText.literal(literal) + "::\(type)"
        let rows = try await SampleTable.captured(
            ["INSERT INTO t VALUES (1, \(value), ARRAY[\(value), NULL], ROW(\(value)), \(value))"], in: database)
        #expect(
            rows.events.map(\.line) == [#"{"id":1,"v":\#(json),"l":[\#(json),null],"c":{"v":\#(json)},"d":\#(json)}"#])
        try rows.checkAgainstContract()
    }

    @Test func limitsOfTypesAreKnownThroughDomains() async throws {
        let database = try TestDatabase()
        // Before 15 a scale cannot be negative.
        let scale = TestServer.version >= 150_000 ? -2 : 1
        try database.run(
            """
            CREATE DOMAIN name_10 AS varchar(10); CREATE DOMAIN name_again AS name_10;
            CREATE DOMAIN price AS numeric(12,2);
            CREATE TABLE t (id int PRIMARY KEY, v varchar(20), c char(3), b bit(4), d name_again, n numeric,
                s numeric(3,\(scale)), p price, t text)
            """)
        let rows = try await SampleTable.captured(
            ["INSERT INTO t (id, v) VALUES (1, '12345678901234567890')"], in: database)
        let columns = rows.relation.columns
        #expect(columns.map(\.lengthMax) == [nil, 20, 3, 4, 10, nil, nil, nil, nil])
        #expect(columns.map(\.precision) == [nil, nil, nil, nil, nil, nil, 3, 12, nil])
        #expect(columns.map(\.scale) == [nil, nil, nil, nil, nil, nil, scale, 2, nil])
        try rows.checkAgainstContract()
    }

    @Test func arraysOfADatabaseWithoutEncodingAreTextOrBase64() async throws {
        let database = try TestDatabase(encoding: "SQL_ASCII")
        try database.run("CREATE TABLE t (id int PRIMARY KEY, l text[])")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run(#"INSERT INTO t VALUES (1, ARRAY['a b']), (2, ARRAY[E'\xE9'])"#)
        try await reader.catchUp()
        await reader.source.close()
        #expect(reader.lines() == ["insert public.t 1,{\"a b\"}", "insert public.t 2,!"])
    }
}

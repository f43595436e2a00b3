import PipelineConfiguration
import Testing

/// A text that is refused, and everything that is said about it.
struct BadFile: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var text: String
    var problems: [String]

    init(_ name: String, _ text: String, _ problems: String...) {
        testDescription = name
        self.text = text
        self.problems = problems
    }
}

/// A file whose SQLite source is fine, with more lines after it.
private func withSource(_ rest: String) -> String { "name: a\nsource: {sqlite: {path: x}}\n" + rest }

struct ConfigurationProblemTests {
    static let keys = [
        BadFile(
            "unknown key", withSource("sinks:\n  s:\n    file:\n      pth: x\n      path: y\n"),
            "config.unknown_key sinks.s.file.pth 6:7 unknown key \"pth\" (did you mean \"path\"?)"),
        BadFile(
            "unknown key far from all", withSource("zzz: 1\n"),
            "config.unknown_key zzz 3:1 unknown key \"zzz\" (known here: log, mask_salt, name, outbox, schemas,"
                + " sensitivity, server, sinks, source, transforms)"),
        BadFile(
            "capitals and hyphens", withSource("Schemas: {}\nlog: {retention-: {}}\n"),
            "config.unknown_key Schemas 3:1 unknown key \"Schemas\" (did you mean \"schemas\"?)",
            "config.unknown_key log.retention- 4:7 unknown key \"retention-\" (did you mean \"retention\"?)"),
        BadFile(
            "unknown source", "name: a\nsource:\n  postgre: {url: x}\n",
            "config.unknown_key source.postgre 3:3 unknown key \"postgre\" (did you mean \"postgres\"?)"),
        BadFile(
            "two sources", "name: a\nsource:\n  sqlite: {path: x}\n  postgres: {url: x}\n",
            "config.bad_value source.postgres 4:3 the source has \"sqlite\" already (keep one of them)"),
        BadFile(
            "nothing but a comment in the source", "name: a\nsource:\n  # postgres\n",
            "config.missing_key source 2:1 the source names no connector (add one of postgres, sqlite)"),
        BadFile(
            "a sink without connector", withSource("sinks:\n  s: {tables: [a]}\n"),
            "config.missing_key sinks.s 4:3 the sink names no connector (add one of file, hook)"),
        BadFile(
            "everything missing", "log: {}\n",
            "config.missing_key name 1:1 \"name\" is missing (add name: TEXT)",
            "config.missing_key source 1:1 \"source\" is missing (add source: with one of postgres, sqlite)"),
        BadFile(
            "missing inside", "name: a\nsource:\n  postgres:\n    slot: b\n",
            "config.missing_key source.postgres.url 3:3 \"url\" is missing in \"source.postgres\" (add url: TEXT)"),
        BadFile(
            "required inside of a given group", withSource("sinks: {s: {hook: {url: u, auth: {}}}}\n"),
            "config.missing_key sinks.s.hook.auth.token 3:28 \"token\" is missing in \"sinks.s.hook.auth\""
                + " (add token: TEXT)"),
        BadFile(
            "not there yet", withSource("sinks: {s: {kafka: {}}}\n"),
            "config.not_available sinks.s.kafka 3:13 \"kafka\" is not available in this version (take it out)"),
        BadFile(
            "a key twice", "name: a\nsource:\n  sqlite:\n    path: x\n    path: y\n",
            "config.duplicate_key - 5:5 the key \"path\" is there more than once, first in line 4 (keep one of them)"),
        BadFile(
            "a key twice in braces, and another mistake",
            "name: a\nsource: {sqlite: {path: x, \"path\": y}}\nlogs: {}\n",
            "config.duplicate_key - 2:29 the key \"path\" is there more than once, first in line 2 (keep one of them)",
            "config.unknown_key logs 3:1 unknown key \"logs\" (did you mean \"log\"?)"),
        BadFile(
            "a key three times and another twice",
            "name: a\nname: b\nsource: {sqlite: {path: x}}\nname: c\nlog: {}\nlog: {}\n",
            "config.duplicate_key - 2:1 the key \"name\" is there more than once, first in line 1 (keep one of them)",
            "config.duplicate_key - 4:1 the key \"name\" is there more than once, first in line 1 (keep one of them)",
            "config.duplicate_key - 6:1 the key \"log\" is there more than once, first in line 5 (keep one of them)"),
        BadFile(
            "a key that is no name", withSource("[1, 2]: x\n"),
            "config.wrong_type - 3:1 a key should be a name, and is a list"),
        BadFile(
            "a merge key", withSource("log: &l {directory: x}\nschemas:\n  <<: *l\n"),
            "config.not_available schemas.<< 5:3 merge keys (<<) are not read"
                + " (write the keys out; an alias for a whole value works)"),
    ]

    static let values = [
        BadFile(
            "size without unit", withSource("log: {retention: {size: 1000}}\n"),
            "config.bad_value log.retention.size 3:25 \"1000\" has no unit"
                + " (write a whole number with B, KiB, MiB, GiB or TiB, such as 64MiB)"),
        BadFile(
            "size with another unit", withSource("log: {retention: {size: 10GB}}\n"),
            "config.bad_value log.retention.size 3:25 \"10GB\" has a unit that is not known (did you mean 10GiB?)"),
        BadFile(
            "size beyond everything", withSource("log: {retention: {size: 99999999TiB}}\n"),
            "config.bad_value log.retention.size 3:25 \"99999999TiB\" is too large"
                + " (write a whole number with B, KiB, MiB, GiB or TiB, such as 64MiB)"),
        BadFile(
            "duration without unit, fraction, unknown unit, beyond everything",
            withSource(
                "sinks:\n  a: {file: {path: x, roll: {age: 5}}}\n  b: {file: {path: x, roll: {age: 1.5h}}}\n"
                    + "  c: {file: {path: x, roll: {age: 3w}}}\n  d: {file: {path: x, roll: {age: 200000d}}}\n"),
            "config.bad_value sinks.a.file.roll.age 4:35 \"5\" has no unit"
                + " (write a whole number with ms, s, m, h or d, such as 30s)",
            "config.bad_value sinks.b.file.roll.age 5:35 \"1.5h\" is not a whole number with a unit"
                + " (write a whole number with ms, s, m, h or d, such as 30s)",
            "config.bad_value sinks.c.file.roll.age 6:35 \"3w\" has a unit that is not known"
                + " (write a whole number with ms, s, m, h or d, such as 30s)",
            "config.bad_value sinks.d.file.roll.age 7:35 \"200000d\" is too long (write 100000d at most)"),
        BadFile(
            "numbers", "name: a\nsource: {postgres: {url: x, window: 65}}\n",
            "config.bad_value source.postgres.window 2:37 \"65\" is out of range (write a whole number from 1 to 64)"),
        BadFile(
            "octal", "name: a\nsource: {postgres: {url: x, window: 010}}\n",
            "config.bad_value source.postgres.window 2:37 \"010\" begins with a zero, which some read as octal"
                + " (write a whole number from 1 to 64)"),
        BadFile(
            "a number that is none", "name: a\nsource: {postgres: {url: x, window: ten}}\n",
            "config.bad_value source.postgres.window 2:37 \"ten\" is not a whole number"
                + " (write a whole number from 1 to 64)"),
        BadFile(
            "flags and choices", withSource("sinks: {s: {file: {path: x, sync: no, compress: gzp}}}\n"),
            "config.bad_value sinks.s.file.sync 3:35 \"no\" is neither true nor false (did you mean false?)",
            "config.bad_value sinks.s.file.compress 3:49 \"gzp\" is not one of none, gzip (did you mean \"gzip\"?)"),
        BadFile(
            "formats",
            withSource(
                "sinks:\n  a: {file: {path: x}, format: debezium, debezium: {decimal: exact}}\n"
                    + "  b: {file: {path: x}, format: xml}\n  c: {file: {path: x}, debezium: {}}\n"
                    + "  d: {file: {path: x}, format: debezium, debezium: {topic_prefix: \"a b\"}}\n"),
            "config.bad_value sinks.a.debezium.decimal 4:62 \"exact\" is not one of precise, string, double",
            "config.bad_value sinks.b.format 5:32 \"xml\" is not one of cloudevents, row, csv, debezium",
            "config.bad_value sinks.c.debezium 6:24 \"debezium\" is for sinks of that format, and the format of this"
                + " one is cloudevents (write format: debezium, or take the key out)",
            "config.bad_value sinks.d.debezium.topic_prefix 7:42 the prefix is not 1 to 100 letters, digits, ., _ or -"
                + " (write the topic.prefix of the connector, such as shop)"),
        BadFile(
            "names", "name: Shop\nsource: {sqlite: {path: x}}\nsinks: {9x: {file: {path: x}}}\n",
            "config.bad_value name 1:7 the name is not a small letter and up to 39 small letters, digits, _ or -"
                + " (choose a name such as shop)",
            "config.bad_value sinks.9x 3:9 the sink's name is not a small letter and up to 39 small letters, digits,"
                + " _ or - (choose a name such as archive)"),
        BadFile(
            "lists",
            "name: a\nsource: {postgres: {url: x, tables: public.a}}\nsinks:\n  s: {file: {path: x}, tables: []}\n",
            "config.wrong_type source.postgres.tables 2:29 \"tables\" should be a list, and is a single value"
                + " (write [a, b], or one entry in each line after a hyphen)",
            "config.bad_value sinks.s.tables 4:24 the list of tables is empty"
                + " (name tables, or take the key out for all)"
        ),
        BadFile(
            "entries of lists", "name: a\nsource: {postgres: {url: x, tables: [a, [b], ~]}}\n",
            "config.wrong_type source.postgres.tables[1] 2:41 \"tables\" should be a single value, and is a list",
            "config.wrong_type source.postgres.tables[2] 2:46 \"tables\" has no value"
                + " (write a value, or take the key out)"),
        BadFile(
            "no value and the wrong kind of value", "name:\nsource: {sqlite: {path: {a: b}}}\nlog: everywhere\n",
            "config.wrong_type name 1:1 \"name\" has no value (write a value, or take the key out)",
            "config.wrong_type source.sqlite.path 2:19 \"path\" should be a single value, and is a mapping",
            "config.wrong_type log 3:1 \"log\" should hold keys with values, and is a single value"),
        BadFile(
            "tags", withSource("log: !include log.yaml\nschemas: {directory: !!binary eA==}\n"),
            "config.wrong_type log 3:6 the tag \"!include\" has no meaning here (take it out)",
            "config.wrong_type schemas.directory 4:22 the tag \"tag:yaml.org,2002:binary\" has no meaning here"
                + " (take it out)"),
        BadFile(
            "NUL", "name: a\nsource: {sqlite: {path: \"x\\0y\"}}\n",
            "config.bad_value source.sqlite.path 2:25 \"path\" holds a NUL character"),
    ]

    @Test(arguments: keys) func badKeysAreAllReported(_ file: BadFile) { #expect(problems(file.text) == file.problems) }

    @Test(arguments: values) func badValuesAreAllReported(_ file: BadFile) {
        #expect(problems(file.text) == file.problems)
    }

    @Test func threeMistakesAreReportedAtOnceAndInOrder() {
        let text = goodFile.replacing("window: 4", with: "windw: 4").replacing("64MiB", with: "64")
            .replacing("format: row", with: "format: rows")
        #expect(
            problems(text) == [
                "config.unknown_key source.postgres.windw 6:5 unknown key \"windw\" (did you mean \"window\"?)",
                "config.bad_value log.retention.size 11:30 \"64\" has no unit"
                    + " (write a whole number with B, KiB, MiB, GiB or TiB, such as 64MiB)",
                "config.bad_value sinks.partner.format 20:13 \"rows\" is not one of cloudevents, row, csv, debezium"
                    + " (did you mean \"row\"?)",
            ])
    }

    @Test func problemsAreRenderedWithPlaceAndAdvice() throws {
        let error = #expect(throws: ConfigurationProblems.self) { try load(goodFile + "nmae: x\n") }
        #expect(
            error?.rendered == """
                error[config.unknown_key]: unknown key "nmae"
                  at   nmae, millrace.yaml:21:1
                  try  did you mean "name"?
                """)
    }

    @Test func thousandsOfProblemsAreCutShort() throws {
        let text = (0..<1000).map { "k\($0): 1\n" }.joined()
        let error = #expect(throws: ConfigurationProblems.self) { try load(text) }
        #expect(error?.problems.count == ConfigurationProblems.countMax)
        #expect(error?.rendered.hasSuffix("\nand 902 more") == true)
    }

    @Test func namesOfTheFileAreCutAndEscapedInMessages() {
        let long = String(repeating: "k", count: 100)
        #expect(problems(withSource("\"a\\e[31m\": 1\n"))[0].contains(#"unknown key "a\u{1b}[31m""#))
        #expect(problems(withSource("\(long): 1\n"))[0].contains("unknown key \"\(long.prefix(60))…\""))
    }
}

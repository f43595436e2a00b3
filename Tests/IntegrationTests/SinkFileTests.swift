import Foundation
import ProgramTesting
import Testing

/// File sinks and logs that write to the same files.
struct SinkFileTests {
    private static func configuration(_ paths: (String, String), _ tables: (String, String) = ("*", "*")) -> String {
        """
        name: shop
        source:
          sqlite: {path: shop.db, tables: ["*"]}
        sinks:
          one:
            file: {path: "\(paths.0)"}
            tables: ["\(tables.0)"]
          other:
            file: {path: "\(paths.1)"}
            tables: ["\(tables.1)"]
        """
    }

    private func doctor(_ paths: (String, String), tables: (String, String) = ("*", "*")) throws -> ChildResult {
        try MillraceProgram(configuration: Self.configuration(paths, tables)).run("doctor")
    }

    @Test func twoSinksWithTheSameFilesAreRefused() throws {
        for result in [
            try doctor(("out/all.jsonl", "out/all.jsonl")),
            try doctor(("out/{table}.jsonl", "./out//{table}.jsonl")),
            try doctor(("out/{date}.jsonl", "out/{date}.jsonl"), tables: ("orders", "users")),
            try doctor(("out/{table}.jsonl", "out/{table}.jsonl"), tables: ("main.orders", "o*")),
        ] {
            #expect(result.exitCode == 2, "\(result.output)\(result.errors)")
            #expect(result.errors.contains("the sink one writes to the same files"), "\(result.errors)")
            #expect(result.errors.contains("sinks.other.file.path"), "\(result.errors)")
        }
    }

    @Test func sinksWithFilesOfTheirOwnAreTaken() throws {
        for result in [
            try doctor(("out/{table}.jsonl", "out/{table}.jsonl"), tables: ("orders", "users")),
            try doctor(("out/{table}.jsonl", "out/{table}.csv")), try doctor(("/dev/stdout", "/dev/stdout")),
        ] {
            #expect(result.exitCode != 2, "\(result.output)\(result.errors)")
        }
    }

    /// Lines of both were in one file.
    @Test func pathsThatLeadToTheSameFilesAreRefused() throws {
        let program = try MillraceProgram(configuration: "")
        let files = FileManager.default
        try files.createDirectory(atPath: program.folder.path("real/inner"), withIntermediateDirectories: true)
        try files.createSymbolicLink(atPath: program.folder.path("link"), withDestinationPath: "real/inner")
        try program.folder.write("real/all.jsonl", "")
        try files.createSymbolicLink(atPath: program.folder.path("latest"), withDestinationPath: "real/all.jsonl")
        for (one, other) in [
            ("out/x.jsonl", "out/../out/x.jsonl"), ("out/{table}.jsonl", program.folder.path("out/{table}.jsonl")),
            ("real/inner/new/{table}.jsonl", "link/new/{table}.jsonl"), ("real/all.jsonl", "latest"),
            ("real/{table}.jsonl", "link/../{table}.jsonl"), ("real/inner/x", "real/missing/../../link/x"),
        ] {
            try program.folder.write("millrace.yaml", Self.configuration((one, other)))
            let result = try program.run("doctor")
            #expect(result.exitCode == 2, "\(one) \(other) \(result.output)")
            #expect(result.errors.contains("the sink one writes to the same files"), "\(result.errors)")
        }
        try program.folder.write("millrace.yaml", Self.configuration(("link/../x.jsonl", "x.jsonl")))
        let result = try program.run("doctor")
        #expect(result.exitCode != 2, "\(result.output)\(result.errors)")
    }

    /// The user's database was overwritten with lines, and so was the log.
    @Test func aSinkThatWouldWriteOverTheSourceTheLogOrTheConfigurationIsRefusedBeforeAnythingIsWritten() throws {
        let program = try shop()
        let files = FileManager.default
        try files.createDirectory(atPath: program.folder.path("sub"), withIntermediateDirectories: true)
        try files.createSymbolicLink(atPath: program.folder.path("soft"), withDestinationPath: "shop.db")
        try files.linkItem(atPath: program.folder.path("shop.db"), toPath: program.folder.path("hard"))
        let source = "source: {sqlite: {path: shop.db}}\n"
        for (path, what) in [
            ("shop.db", "database"), ("shop.db-wal", "database"), ("shop.db-journal", "database"),
            ("sub/../shop.db", "database"), (program.folder.path("shop.db"), "database"), ("soft", "database"),
            ("hard", "database"), (".millrace/log.sqlite", "event log"), (".millrace/lock", "event log"),
            (".millrace/requests/{table}.jsonl", "event log"), ("millrace.yaml", "configuration"),
            ("Schemas/{table}.json", "schemas"),
        ] {
            for rest in ["", "log: {directory: .}\n"] where rest.isEmpty || what == "database" {
                try program.folder.write(
                    "millrace.yaml", "name: shop\n\(source)\(rest)sinks:\n  one:\n    file: {path: \"\(path)\"}\n")
                for result in [try program.run("doctor"), try program.run("run", "--until-caught-up")] {
                    #expect(result.exitCode == 2, "\(path) \(result.output)\(result.errors)")
                    #expect(result.errors.contains("is that of the"), "\(result.errors)")
                    #expect(result.errors.contains(what) && result.errors.contains("sinks.one.file.path"))
                }
            }
        }
        let rows = try program.sqlite("shop.db", "PRAGMA integrity_check; SELECT count(*) FROM t")
        #expect(rows == "ok\n2\n")
    }

    /// A table named millrace had its events written behind the configuration.
    @Test(arguments: [
        ("millrace", "{table}.yaml", "millrace.yaml"), ("log", ".millrace/{table}.sqlite", ".millrace/log.sqlite"),
        ("lock", ".millrace/{table}", ".millrace/lock"), ("t", "{schema}/{table}.json", "main/t.json"),
        ("shop.db-wal", "{table}", "shop.db-wal"), ("link", "{table}", "link"),
        ("bodies-1", ".millrace/{table}", ".millrace/bodies-1"), ("salt", "{table}.txt", "salt.txt"),
        ("millrace", ".{table}/log.sqlite-journal", ".millrace/log.sqlite-journal"),
    ])
    func aTableWhoseNameLeadsToWhatIsMillracesOwnStopsTheSinkBeforeAnythingIsWritten(
        _ table: String, _ path: String, _ file: String
    ) throws {
        let configuration =
            "name: shop\nsource: {sqlite: {path: shop.db, tables: [\"\(table)\"]}}\nschemas: {directory: main}\n"
            + "mask_salt: file:salt.txt\nsinks:\n  one:\n    file: {path: \"\(path)\"}\n"
        let program = try MillraceProgram(configuration: configuration)
        try program.folder.write("salt.txt", "0123456789abcdef0123456789abcdef")
        try program.sqlite("shop.db", "CREATE TABLE \"\(table)\" (id INTEGER PRIMARY KEY)")
        try program.sqlite("shop.db", "INSERT INTO \"\(table)\" DEFAULT VALUES")
        try FileManager.default.createSymbolicLink(
            atPath: program.folder.path("link"), withDestinationPath: "millrace.yaml")
        let result = try program.run("run", "--until-caught-up", "--patience", "0")
        #expect(result.exitCode != 0 && result.errors.contains("file.reserved"), "\(result.errors)")
        #expect(try String(contentsOfFile: program.folder.path("millrace.yaml"), encoding: .utf8) == configuration)
        let content = FileManager.default.contents(atPath: program.folder.path(file)) ?? Data()
        #expect(content.range(of: Data("specversion".utf8)) == nil || file.hasSuffix("sqlite"), "\(file)")
        #expect(try program.run("tail", "--from", "earliest").exitCode == 0)
    }

    @Test func filesBesideTheSourceTheLogAndTheConfigurationAreTaken() throws {
        let program = try shop()
        for path in ["out/{table}.jsonl", "shop.jsonl", ".millrace.jsonl", "log/log.sqlite"] {
            try program.folder.write(
                "millrace.yaml",
                "name: shop\nsource: {sqlite: {path: shop.db}}\nschemas: {directory: .}\nlog: {directory: .}\n"
                    + "sinks:\n  one:\n    file: {path: \"\(path)\"}\n")
            let result = try program.run("doctor")
            #expect(result.exitCode != 2, "\(path) \(result.errors)")
        }
    }

    private func shop() throws -> MillraceProgram {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                log: {reserve: 4MiB}
                sinks:
                  archive:
                    file: {path: "out/{table}.jsonl"}
                """)
        try program.sqlite(
            "shop.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 0), (2, 0)")
        try program.catchUp()
        return program
    }

    private func text(_ program: MillraceProgram) throws -> String {
        try String(contentsOfFile: program.folder.path("out/t.jsonl"), encoding: .utf8)
    }

    /// Puts a copy of the log's folder in its place; the one that was there is kept under another name.
    private func exchangeLog(_ program: MillraceProgram, for copy: String, keeping name: String) throws {
        let log = program.folder.path(".millrace")
        try FileManager.default.moveItem(atPath: log, toPath: program.folder.path(name))
        try FileManager.default.copyItem(atPath: program.folder.path(copy), toPath: log)
    }

    @Test func aLogThatWasPutBackToAnOlderCopyLeavesTheFilesAlone() throws {
        let program = try shop()
        let place = program.folder
        try FileManager.default.copyItem(atPath: place.path(".millrace"), toPath: place.path("backup"))
        // What is delivered again brings lines without anything that the source could miss.
        for _ in 0..<2 {
            let replayed = try program.run("replay", "archive", "--from", "earliest")
            #expect(replayed.exitCode == 0, "\(replayed.errors)")
            try program.catchUp()
        }
        let before = try text(program)
        #expect(before.split(separator: "\n").count == 6)
        try exchangeLog(program, for: "backup", keeping: "newer")
        for _ in 0..<2 {
            let result = try program.run("run", "--until-caught-up")
            #expect(result.exitCode != 0)
            #expect(result.errors.contains("error[file.newer_than_log]"), "\(result.errors)")
            #expect(try text(program) == before)
            let doctor = try program.run("doctor")
            #expect(doctor.exitCode == 3 && doctor.output.contains("[file.newer_than_log]"), "\(doctor.output)")
        }
        // The old one goes on in a new file, if that is wanted.
        let file = place.path("out/t.jsonl")
        try FileManager.default.moveItem(atPath: file, toPath: place.path("away.jsonl"))
        let replayed = try program.run("replay", "archive", "--from", "earliest")
        #expect(replayed.exitCode == 0, "\(replayed.errors)")
        try program.catchUp()
        #expect(try text(program).split(separator: "\n").count == 2)
        // The newer one goes on in its own.
        try exchangeLog(program, for: "newer", keeping: "old")
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.moveItem(atPath: place.path("away.jsonl"), toPath: file)
        try program.sqlite("shop.db", "UPDATE t SET v = 1 WHERE id = 1")
        try program.catchUp()
        #expect(try text(program).hasPrefix(before))
        #expect(try text(program).split(separator: "\n").count == 7)
    }

    @Test func changesThatAnOlderCopyOfTheLogMissesStayInTheFile() throws {
        let program = try shop()
        let place = program.folder
        try FileManager.default.copyItem(atPath: place.path(".millrace"), toPath: place.path("backup"))
        for value in 1...3 {
            try program.sqlite("shop.db", "UPDATE t SET v = \(value)")
            try program.catchUp()
        }
        let before = try text(program)
        #expect(before.split(separator: "\n").count == 8)
        try exchangeLog(program, for: "backup", keeping: "newer")
        let result = try program.run("run", "--until-caught-up")
        #expect(result.exitCode != 0)
        #expect(try text(program) == before, "\(result.errors)")
    }

    /// It said that all was well, and the run stopped.
    @Test func doctorTellsOfASinkWhoseNextEventsRetentionRemoved() throws {
        let program = try shop()
        for value in 1...2 {
            try program.sqlite("shop.db", "UPDATE t SET v = \(value)")
            try program.catchUp()
        }
        #expect(try program.run("doctor").exitCode == 0)
        // What happens while a sink is not in the configuration.
        try program.sqlite(
            ".millrace/log.sqlite",
            "DELETE FROM batch WHERE first_offset = 0; UPDATE sink SET next_offset = 0")
        for result in [try program.run("doctor"), try program.run("run", "--until-caught-up")] {
            #expect(result.exitCode == 3, "\(result.output)\(result.errors)")
            #expect((result.output + result.errors).contains("[log.retained_away]"), "\(result.output)\(result.errors)")
        }
        #expect(try program.run("replay", "archive", "--from", "earliest", "--skip").exitCode == 0)
        #expect(try program.run("doctor").exitCode == 0)
        try program.catchUp()
    }
}

import Foundation
import ProgramTesting
import Testing

/// Sinks of one pipeline that write to the same files, as far as the configuration tells.
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
}

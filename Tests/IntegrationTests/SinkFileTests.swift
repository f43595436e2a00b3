import ProgramTesting
import Testing

/// Sinks of one pipeline that write to the same files, as far as the configuration tells.
struct SinkFileTests {
    private func doctor(_ paths: (String, String), tables: (String, String) = ("*", "*")) throws -> ChildResult {
        try MillraceProgram(
            configuration: """
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
        ).run("doctor")
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
}

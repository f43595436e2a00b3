import ProgramTesting
import Testing

/// Sinks of one pipeline that publish to one NATS stream, as far as the configuration tells.
struct SinkStreamTests {
    private func doctor(_ first: String, _ second: String) throws -> ChildResult {
        try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db, tables: ["*"]}
                sinks:
                  one:
                    nats: {servers: ["nats://127.0.0.1:1"]\(first)
                  other:
                    nats: {servers: ["nats://127.0.0.1:2", "127.0.0.1:1"]\(second)
                """
        ).run("doctor")
    }

    @Test func theSameTablesInOneStreamAreRefused() throws {
        for (first, second) in [
            ("}", "}"), (", shared: true}", ", shared: true}"),
            ("}\n    tables: [main.orders]", "}\n    tables: [\"o*\"]"),
            (", subject: \"a.{topic}\", stream: x}", ", subject: \"b.{topic}\", stream: x}\n    format: debezium"),
        ] {
            let result = try doctor(first, second)
            #expect(result.exitCode == 2, "\(result.output)\(result.errors)")
            #expect(result.errors.contains("the sink one publishes events of the same tables to this stream"))
            #expect(result.errors.contains("sinks.other.nats"), "\(result.errors)")
        }
    }

    @Test func tablesOfTheirOwnAskForSharing() throws {
        let tables = ["\n    tables: [orders]", "\n    tables: [users]"]
        let alone = try doctor("}" + tables[0], ", shared: true}" + tables[1])
        #expect(alone.output.contains("the sinks one and other publish to the stream shop"), "\(alone.output)")
        let shared = try doctor(", shared: true}" + tables[0], ", shared: true}" + tables[1])
        #expect(shared.exitCode == 3 && !shared.output.contains("publish to the stream"), "\(shared.output)")
        let apart = try doctor("}", ", stream: elsewhere, subject: \"e.{topic}\"}")
        #expect(apart.exitCode == 3 && !apart.output.contains("publish to the stream"), "\(apart.output)")
    }
}

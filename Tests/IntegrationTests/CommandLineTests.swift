import ProgramTesting
import Testing

/// What the command line says to people.
struct CommandLineTests {
    @Test func helpNamesEveryCommandAndTheExitCodes() throws {
        let program = try MillraceProgram(configuration: "")
        let help = try program.run("--help")
        #expect(help.exitCode == 0)
        for word in ["run", "status", "tail", "doctor", "EXIT CODES"] { #expect(help.output.contains(word)) }
        #expect(!help.output.contains("generate"), "a command for developers is not shown")
        for command in ["run", "status", "tail", "doctor"] {
            let text = try program.run(command, "--help")
            #expect(text.exitCode == 0)
            #expect(text.output.contains("--config"))
        }
    }

    @Test func versionIsPrinted() throws {
        let result = try MillraceProgram(configuration: "").run("--version")
        #expect(result.exitCode == 0)
        #expect(result.output.split(separator: ".").count == 3)
    }

    @Test func wrongUsageEndsWithTwo() throws {
        let program = try MillraceProgram(configuration: "")
        #expect(try program.run("rnu").exitCode == 2)
        #expect(try program.run("run", "--until-caught-u").exitCode == 2)
        #expect(try program.run("tail", "--from", "yesterday").exitCode == 2)
    }

    @Test func wrongUsageIsSaidInTheFormOfEveryOtherError() throws {
        let program = try MillraceProgram(configuration: "")
        for command in [["replay", "archive", "--from", "nonsense"], ["tail", "--from", "nonsense"]] {
            let result = try runProgram(MillraceProgram.executable, command, folder: program.folder.url)
            #expect(result.exitCode == 2)
            #expect(
                result.errors == """
                    error[usage.bad_position]: "nonsense" is no place in the log
                      at   --from
                      try  write earliest, latest, a log offset, or a UTC time such as 2026-11-21T10:00:00Z

                    """)
        }
        let unknown = try program.run("replay", "archive")
        #expect(unknown.exitCode == 2 && unknown.errors.hasPrefix("error[usage.invalid]: "))
        #expect(unknown.errors.contains("\n  try  millrace replay --help shows"), "\(unknown.errors)")
        let patience = try program.run("run", "--patience", "1")
        #expect(patience.exitCode == 2 && patience.errors.contains("--until-caught-up"))
    }

    @Test func everyMistakeInTheSettingsOfEveryConnectorIsReportedAtOnce() throws {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  postgres:
                    url: postgresql://localhost/shop
                    tables: [orders, items]
                    slot: Not-a-slot
                    status_interval: 1ms
                sinks:
                  hooks:
                    webhook:
                      url: ftp://partner.example
                      batch: {records: 10}
                      timeout: 0s
                    tables: [public.orders]
                  broker:
                    nats:
                      servers: [nats://localhost, "http://x"]
                      create_stream: false
                      new_stream: {replicas: 3}
                      ack_timeout: 1ms
                  archive:
                    file: {path: "out/{tabel}.jsonl", rotate: {size: 1B, age: 1ms}}
                  rows:
                    webhook: {url: "https://partner.example/", mode: binary}
                    format: row
                """)
        let result = try program.run("run")
        #expect(result.exitCode == 2)
        let places = [
            "source.postgres.tables[0]", "source.postgres.tables[1]", "source.postgres.slot",
            "source.postgres.status_interval", "hooks.webhook.url", "hooks.webhook.batch", "hooks.webhook.timeout",
            "broker.nats.servers[1]", "broker.nats.new_stream", "broker.nats.ack_timeout", "archive.file.path",
            "archive.file.rotate.size", "archive.file.rotate.age",
        ]
        for place in places {
            #expect(result.errors.contains("\(place), millrace.yaml:"), "\(place): \(result.errors)")
        }
        #expect(result.errors.contains("[config.bad_value]: has a meaning only in the mode batch"))
    }

    @Test func aMissingConfigurationIsNamedWithTheWayOut() throws {
        let program = try MillraceProgram(configuration: "")
        let result = try program.run("run", "--config", "nowhere.yaml")
        #expect(result.exitCode == 2)
        #expect(result.errors.contains("error[config."))
        #expect(result.errors.contains("nowhere.yaml"))
    }

    @Test func threeMistakesAreReportedAtOnceEachWithItsLine() throws {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  postgres:
                    url: postgresql://localhost/shop
                    tabels: [public.orders]
                sinks:
                  archive:
                    file: {path: "out/{tabel}.jsonl"}
                    format: xml
                """)
        let result = try program.run("run")
        #expect(result.exitCode == 2)
        for place in ["millrace.yaml:5:", "millrace.yaml:8:", "millrace.yaml:9:"] {
            #expect(result.errors.contains(place), "\(result.errors)")
        }
        #expect(result.errors.contains("tables"))
    }
}

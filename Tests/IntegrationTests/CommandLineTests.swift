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

import ConnectorKit
import PipelineConfiguration
import Testing

struct SecretTests {
    private func url(_ written: String, _ environment: [String: String] = [:], folder: String = "/") throws -> String? {
        let text = "name: a\nsource:\n  postgres:\n    url: \(written)\n"
        return try load(text, environment: environment, folder: folder).source.text("url")
    }
    private func complaints(_ written: String, _ environment: [String: String] = [:]) -> [String] {
        problems("name: a\nsource:\n  postgres:\n    url: \(written)\n", environment: environment)
    }

    @Test func variablesStandAnywhereInAValue() throws {
        let environment = ["A": "one", "B_2": "two", "EMPTY": "", "MONEY": "$ ${A}"]
        #expect(try url("${A}", environment) == "one")
        #expect(try url("x${A}y${B_2}z", environment) == "xoneytwoz")
        #expect(try url("\"${A}\"", environment) == "one")
        #expect(try url("${NONE:-some:-thing}", environment) == "some:-thing")
        #expect(try url("x${NONE:-}", environment) == "x")
        #expect(try url("x${EMPTY}", environment) == "x")
        #expect(try url("${EMPTY:-full}", environment) == "full")
        #expect(try url("$$A $${A} 5$ $1", environment) == "$A ${A} 5$ $1")
        #expect(try url("${MONEY}", environment) == "$ ${A}")
    }

    @Test func variablesStandForValuesOfEveryKind() throws {
        let text = "name: a\nsource: {postgres: {url: x, window: \"${W}\", keepalive: \"${K:-5s}\"}}\n"
        let configuration = try load(text, environment: ["W": "3"])
        #expect(configuration.source.integer("window") == 3)
        #expect(configuration.source.duration("keepalive") == .seconds(5))
    }

    @Test func everyUnsetVariableIsReported() {
        #expect(
            complaints("${A}/${B}") == [
                "config.unset_variable source.postgres.url 4:10 the environment has no A"
                    + " (set A, or write ${A:-default})",
                "config.unset_variable source.postgres.url 4:10 the environment has no B"
                    + " (set B, or write ${B:-default})",
            ])
    }

    @Test func malformedVariablesAreReportedWithoutTheirText() {
        let names = "names have letters, digits and _; write $$ for a dollar sign"
        let start = "config.bad_value source.postgres.url 4:10 "
        #expect(complaints("a${hunter2") == [start + "a ${ in \"url\" has no } (write $$ for a dollar sign)"])
        for bad in ["${}", "${9A}", "${hunter 2}", "${hunter2-x}", "${:-x}"] {
            #expect(
                complaints(bad) == [start + "a ${…} in \"url\" is not ${NAME} or ${NAME:-default} (\(names))"])
        }
        #expect(
            complaints("pa$hunter2") == [
                start + "a $ in \"url\" stands before a name without { }"
                    + " (write ${NAME} for a variable, or $$ for a dollar sign)"
            ])
        #expect(complaints("${A:-${B}}") == [start + "a default in \"url\" holds a variable of its own"])
    }

    @Test func aValueThatGrowsTooLargeIsRefused() {
        let big = String(repeating: "x", count: 1 << 16)
        let found = complaints(String(repeating: "${A}", count: 2000), ["A": big])
        #expect(found == ["config.bad_value source.postgres.url 4:10 \"url\" is longer than 1 MiB with its variables"])
    }

    @Test func aSecretComesFromAFileBesideTheConfiguration() throws {
        let folder = try TemporaryFolder()
        try folder.write("url", "postgres://${A}/x\n")
        try folder.write("two", "a\nb\r\n")
        #expect(try url("file:url", folder: folder.path) == "postgres://${A}/x")
        #expect(try url("file:\(folder.path)/url") == "postgres://${A}/x")
        #expect(try url("file:${DIR}/url", ["DIR": folder.path]) == "postgres://${A}/x")
        #expect(try url("file:two", folder: folder.path) == "a\nb")
    }

    @Test func aSecretsFileThatCannotBeReadIsAProblem() throws {
        let folder = try TemporaryFolder()
        try folder.write("binary", [0xFF, 0xFE])
        try folder.write("huge", [UInt8](repeating: 0x61, count: 1 << 17))
        let start = "config.unreadable_secret source.postgres.url 4:10 the file of \"url\" "
        let hint = " (the path after file: is relative to the configuration's folder)"
        #expect(complaints("file:/nowhere/x") == [start + "cannot be read: No such file or directory" + hint])
        #expect(complaints("'file:'") == [start + "has no name" + hint])
        #expect(complaints("file:\(folder.path)/binary") == [start + "is not UTF-8 text" + hint])
        #expect(complaints("file:\(folder.path)/huge") == [start + "is larger than 64 KiB" + hint])
    }

    @Test func onlySecretsAreReadFromFiles() throws {
        #expect(try load("name: a\nsource: {sqlite: {path: \"file:x\"}}\n").source.text("path") == "file:x")
    }

    @Test func messagesNeverShowSecretsOrWhatVariablesHold() throws {
        let text = goodFile.replacing("window: 4", with: "window: ${DATABASE_URL}").replacing("5m", with: "\"${AGE}\"")
            .replacing("format: row", with: "format: ${DATABASE_URL}")
        let error = #expect(throws: ConfigurationProblems.self) {
            try load(text, environment: sampleEnvironment.merging(["AGE": "7hunter2"]) { $1 })
        }
        let rendered = error?.rendered ?? ""
        #expect(error?.problems.count == 3)
        #expect(!rendered.contains("hunter2"))
        #expect(rendered.contains("what \"${AGE}\" stands for is not a whole number with a unit"))
    }

    @Test func aPrintedConfigurationShowsNoSettings() throws {
        let configuration = try load(goodFile)
        #expect("\(configuration)" == "pipeline shop: postgres to archive, partner")
        #expect(configuration.redacting("said tok-5ecret twice: tok-5ecret") == "said [secret] twice: [secret]")
    }
}

import ConnectorKit
import Glibc
import PipelineConfiguration
import Testing

struct ConfigurationLoaderTests {
    @Test func aGoodFileIsReadWhole() throws {
        let configuration = try load(goodFile)
        #expect(configuration.name == "shop")
        #expect(configuration.sourceKind == "postgres")
        #expect(configuration.source.text("url") == "postgres://shop:hunter2@db/shop")
        #expect(configuration.source.list("tables") == ["public.orders", "public.cust*"])
        #expect(configuration.source.integer("window") == 4)
        #expect(configuration.source.duration("keepalive") == .milliseconds(250))
        #expect(configuration.source["slot"] == nil)
        #expect(configuration.schemas.directory == "contracts")
        #expect(configuration.log.directory == "/var/lib/millrace")
        #expect(configuration.log.retentionAge == .seconds(7200))
        #expect(configuration.log.retentionSize == 64 << 20)
        #expect(configuration.sinks.map(\.name) == ["archive", "partner"])
        let archive = configuration.sinks[0]
        #expect(archive.kind == "file")
        #expect(archive.settings.text("path") == "out/{table}.jsonl")
        #expect(archive.settings.group("roll")?.duration("age") == .seconds(300))
        #expect(archive.settings.group("roll")?.size("size") == 256 << 20)
        #expect(archive.settings.flag("sync") == false)
        #expect(archive.settings.text("compress") == "gzip")
        #expect(archive.tables == [TablePattern("*")])
        #expect(archive.format == .cloudevents)
        let partner = configuration.sinks[1]
        #expect(partner.settings.text("url") == "https://partner.example/hooks/$")
        #expect(partner.settings.group("auth")?.text("token") == "tok-5ecret")
        #expect(partner.tables == [TablePattern("public.orders")])
        #expect(partner.format == .row)
    }

    @Test func theLeastFileIsFilledUpWithDefaults() throws {
        let configuration = try load("name: a\nsource: {sqlite: {path: shop.db}}\n")
        #expect(configuration.schemas.directory == "Schemas")
        #expect(configuration.log.directory == ".millrace")
        #expect(configuration.log.retentionAge == .seconds(7 * 86_400))
        #expect(configuration.log.retentionSize == 10 << 30)
        #expect(configuration.sinks.isEmpty)
        #expect(configuration.resolve(configuration.log.directory) == "/etc/millrace/.millrace")
        #expect(configuration.resolve("/srv/log") == "/srv/log")
    }

    @Test func aGroupWhoseSettingsAreAllCommentedOutIsEmpty() throws {
        let text = "name: a\nsource: {sqlite: {path: shop.db}}\nlog:\n  # directory: x\nsinks:\n  # none yet\n"
        #expect(try load(text).log.directory == ".millrace")
    }

    @Test func anOptionalGroupWithARequiredSettingStaysAbsent() throws {
        let text = "name: a\nsource: {sqlite: {path: x}}\nsinks: {s: {hook: {url: u}}}\n"
        #expect(try load(text).sinks[0].settings["auth"] == nil)
    }

    @Test(arguments: ["no", "on", "1.10", "007", "1e3", "2026-11-21", "0x10", "true", "\"~\"", "'null'", "!!str null"])
    func textStaysAsItIsWritten(_ written: String) throws {
        let text = "name: a\nsource: {sqlite: {path: \(written)}}\n"
        let bare = written.replacing("!!str ", with: "").filter { $0 != "\"" && $0 != "'" }
        #expect(try load(text).source.text("path") == bare)
    }

    @Test func jsonIsYAML() throws {
        let text =
            #"{"name": "a", "source": {"sqlite": {"path": "x\u0041.db"}}, "sinks": {"f": {"file": {"path": "o"}}}}"#
        #expect(try load(text).source.text("path") == "xA.db")
    }

    @Test func anchorsAndAliasesWorkForWholeValues() throws {
        let text = """
            name: a
            source: {postgres: {url: x, tables: &all [public.a, public.b]}}
            sinks:
              one: {file: &files {path: out}, tables: *all}
              two: {file: *files}
            """
        let configuration = try load(text)
        #expect(configuration.sinks[0].tables == [TablePattern("public.a"), TablePattern("public.b")])
        #expect(configuration.sinks[1].settings.text("path") == "out")
    }

    @Test func aByteOrderMarkAndWindowsLineEndsAreFine() throws {
        let text = "\u{FEFF}" + goodFile.replacing("\n", with: "\r\n")
        #expect(try load(text).name == "shop")
    }

    @Test func aFileOnDiskIsReadAndItsPathsAreRelativeToItsFolder() throws {
        let folder = try TemporaryFolder()
        try folder.write("millrace.yaml", "name: a\nsource: {sqlite: {path: shop.db}}\n")
        let loader = ConfigurationLoader(tables: sampleTables)
        let configuration = try loader.load(folder.path + "/millrace.yaml")
        #expect(configuration.resolve("out") == folder.path + "/out")
    }

    @Test func aFileThatIsNotThereSaysSo() throws {
        let loader = ConfigurationLoader(tables: sampleTables)
        let error = #expect(throws: ConfigurationProblems.self) { try loader.load("/nowhere/millrace.yaml") }
        #expect(error?.problems.map(\.code) == ["config.unreadable"])
        #expect(error?.problems.first?.message == "the configuration cannot be read: No such file or directory")
        let folder = #expect(throws: ConfigurationProblems.self) { try loader.load("/tmp") }
        #expect(folder?.problems.first?.message == "the configuration cannot be read: Is a directory")
    }

    @Test func connectorsProblemsGetTheirPlaceInTheFile() throws {
        let configuration = try load(goodFile)
        let problem = configuration.describe(
            SettingProblem("path", "unknown placeholder {tabel}", hint: "did you mean {table}?"), in: .sink("archive"))
        #expect(
            problem.rendered == """
                error[config.bad_value]: unknown placeholder {tabel}
                  at   sinks.archive.file.path, millrace.yaml:14:18
                  try  did you mean {table}?
                """)
        let listed = configuration.describe(SettingProblem("tables[1]", "no such table"), in: .source)
        #expect(listed.position == FilePosition(line: 5, column: 29))
        let unsaid = configuration.describe(SettingProblem("roll.size", "too small"), in: .sink("archive"))
        #expect(unsaid.position == FilePosition(line: 14, column: 39))
    }

    @Test func failuresThatNameASettingGetTheirPlaceInTheFile() throws {
        let configuration = try load(goodFile)
        let failure = ConnectorFailure(
            "postgres.slot_lost", .stop, "the slot is lost at postgres://shop:hunter2@db/shop",
            setting: "source.postgres.slot", hint: "run doctor")
        #expect(
            configuration.describe(failure)?.rendered == """
                error[postgres.slot_lost]: the slot is lost at [secret]
                  at   source.postgres.slot, millrace.yaml:3:3
                  try  run doctor
                """)
        let short = ConnectorFailure("file.no_space", .retry, "full", setting: "path")
        #expect(configuration.describe(short, in: .sink("archive"))?.path == "sinks.archive.file.path")
        #expect(configuration.describe(ConnectorFailure("file.io", .retry, "broken")) == nil)
    }
}

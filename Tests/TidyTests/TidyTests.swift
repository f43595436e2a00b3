import Foundation
import ProgramTesting
import Testing

/// The rules of the house, on the whole repository. Each failure names the file, the line, and what to do.
struct TidyTests {
    /// Files that are longer than 600 lines. May only shrink.
    static let longFiles: [String: Int] = [:]
    /// Functions that are longer than 70 lines, as `path: name`. May only shrink.
    static let longFunctions: [String: Int] = [:]
    /// Files with how many lines wider than 120 columns. May only shrink.
    static let wideLines: [String: Int] = [:]
    /// Files with how many findings of swift-format. May only shrink.
    static let formatFindings: [String: Int] = [:]

    private func expectNone(_ violations: [Violation], _ location: SourceLocation = #_sourceLocation) {
        for violation in violations { Issue.record("\(violation)", sourceLocation: location) }
    }

    @Test func theScannerSeesTheRepository() {
        #expect(Repository.swiftFiles.contains { $0.path == "Package.swift" })
        #expect(Repository.swiftFiles.contains { $0.path == "Tests/TidyTests/TidyTests.swift" })
        #expect(Repository.productFiles.count > 30)
    }

    @Test func modulesImportOnlyWhatTheTableAllows() {
        expectNone(Repository.productFiles.flatMap { ImportRule.violations($0) })
    }

    @Test func theImportTableHasNoModuleThatIsGone() {
        let modules = Repository.folders(in: "Sources") + Repository.folders(in: "Connectors")
        for name in ImportRule.table.keys.sorted() { #expect(modules.contains(name), "take \(name) out of the table") }
    }

    @Test func theMapNamesEveryModuleAndNoOther() throws {
        let map = try #require(Repository.file("docs/decisions/0001-shape.md")).text
        let modules = Repository.folders(in: "Sources") + Repository.folders(in: "Connectors")
        for name in modules {
            #expect(map.contains("`\(name)`"), "say in docs/decisions/0001-shape.md what \(name) is")
        }
        let named = map.matches(of: /^\| (`.+?`) \|/.anchorsMatchLineEndings())
            .flatMap { $0.1.split(separator: ", ").map { $0.trimmingPrefix("`").dropLast() } }
        #expect(named.count == modules.count && named.allSatisfy { modules.contains(String($0)) })
    }

    @Test func everyTestTargetMirrorsASourceTarget() {
        let modules = Set(Repository.folders(in: "Sources") + Repository.folders(in: "Connectors"))
        let ofTheWhole: Set = ["IntegrationTests", "FaultTests", "TidyTests", "ProgramTesting"]
        let noTests: Set = ["Benchmarks", "Fuzz"]
        for target in Repository.folders(in: "Tests") where !ofTheWhole.union(noTests).contains(target) {
            let mirrored = target.hasSuffix("Tests") ? String(target.dropLast("Tests".count)) : target
            #expect(modules.contains(mirrored), "Tests/\(target): name it after the target that it tests")
        }
    }

    @Test func filesAreShort() {
        let ratchet = Ratchet(limit: 600, allowed: Self.longFiles, remedy: "take a type or an aspect out of it")
        expectNone(ratchet.violations(Repository.swiftFiles.map(LayoutRule.length)))
    }

    @Test func functionsAreShort() {
        let ratchet = Ratchet(limit: 70, allowed: Self.longFunctions, remedy: "give its steps names of their own")
        expectNone(ratchet.violations(Repository.swiftFiles.flatMap(LayoutRule.functionLengths)))
    }

    @Test func linesAreNarrow() {
        let ratchet = Ratchet(limit: 0, allowed: Self.wideLines, remedy: "break lines at 120 columns")
        let files = Repository.swiftFiles + Repository.files(in: "scripts")
        expectNone(ratchet.violations(files.map(LayoutRule.wideLines)))
    }

    @Test func filesHaveNoStrayWhiteSpace() {
        let texts = ["scripts", "docs", "Schemas", "docker"].flatMap { Repository.files(in: $0) }
        let endings = [".swift", ".md", ".json", ".sh", ".yaml", ".yml", ".sql"]
        let files = (Repository.swiftFiles + texts).filter { file in
            endings.contains(where: file.name.hasSuffix) || !file.name.contains(".")
        }
        expectNone(files.flatMap(LayoutRule.violations))
    }

    @Test func bannedWordsAreNotUsed() {
        for file in Repository.swiftFiles {
            let text = SwiftText(file.text)
            expectNone(WordRule.all.flatMap { $0.violations(file, text) })
            expectNone(EmptyNameRule.violations(file, text))
        }
    }

    @Test func exceptionsToBannedWordsNameFilesThatExist() {
        for rule in WordRule.all {
            for path in rule.allowed { #expect(Repository.exists(path), "\(rule.word): take \(path) out") }
        }
    }

    @Test func everyFailureCodeIsExplainedAndNoOther() throws {
        let manual = try #require(Repository.file("docs/reference/errors.md"))
        expectNone(ManualRule.violations(codes: Repository.productFiles.flatMap(ManualRule.codes), manual: manual))
    }

    @Test func everySettingIsInTheManual() throws {
        let manual = try #require(Repository.file("docs/reference/configuration.md"))
        let settings = Repository.productFiles.flatMap(ManualRule.settings)
        #expect(settings.contains { $0.name == "retention" })
        expectNone(ManualRule.violations(settings: settings, manual: manual))
    }

    @Test func generatedFilesAreCurrent() throws {
        let files = ["docs/reference/configuration.md", "Schemas/configuration.schema.json"]
        let folder = try TemporaryFolder()
        for path in ["docs/reference", "Schemas"] {
            try FileManager.default.createDirectory(atPath: folder.path(path), withIntermediateDirectories: true)
        }
        let generate = try runProgram(MillraceProgram.executable, ["generate", folder.url.path], folder: folder.url)
        #expect(generate.exitCode == 0, "\(generate.errors)")
        for path in files {
            let fresh = try String(contentsOfFile: folder.path(path), encoding: .utf8)
            #expect(Repository.file(path)?.text == fresh, "\(path): run millrace generate and commit what it writes")
        }
    }

    @Test func everyCommandThatIsNamedIsThereAndInTheManual() throws {
        let commands = Set(Repository.productFiles.flatMap(ManualRule.commands)).subtracting(["millrace"])
        #expect(commands.count > 3)
        let manuals = Repository.files(in: "docs") + [Repository.file("README.md")].compactMap { $0 }
        expectNone((manuals + Repository.productFiles).flatMap { ManualRule.unknownCommands($0, known: commands) })
        let reference = try #require(Repository.file("docs/reference/commands.md"))
        for command in commands.subtracting(["generate"]) {
            // A command of a command stands in the chapter of that one, named in full.
            let inChapter = try Regex("`millrace [a-z]+ \(command)[` ]")
            let isExplained =
                reference.text.contains("\n## millrace \(command)") || reference.text.contains(inChapter)
            #expect(isExplained, "\(reference.path): explain \(command)")
        }
    }

    @Test func linksOfTheManualLeadSomewhere() {
        let manuals = Repository.files(in: "docs") + [Repository.file("README.md")].compactMap { $0 }
        #expect(manuals.count > 5)
        expectNone(manuals.flatMap { ManualRule.brokenLinks($0, exists: Repository.exists) })
    }

    @Test func swiftFormatFindsNothing() throws {
        let folders = ["Sources", "Connectors", "Tests", "Package.swift"]
        let lint = try Repository.run(
            "swift", "format", "lint", "--strict", "--recursive", folders[0], folders[1], folders[2], folders[3])
        let counts = FormatRule.counts(lint.output)
        let ratchet = Ratchet(limit: 0, allowed: Self.formatFindings, remedy: "run swift format -i on it")
        expectNone(ratchet.violations(counts))
        #expect(lint.status == 0 || !counts.isEmpty, "swift format lint failed: \(lint.output.prefix(2000))")
    }

    @Test func shellScriptsAreExecutableAndParse() throws {
        for file in Repository.files(in: "scripts") + Repository.files(in: ".ci") {
            guard ScriptRule.isScript(file) else { continue }
            let isExecutable = FileManager.default.isExecutableFile(atPath: "\(Repository.root)/\(file.path)")
            expectNone(ScriptRule.violations(file, isExecutable: isExecutable))
            let check = try Repository.run(ScriptRule.shell(of: file), "-n", file.path)
            #expect(check.status == 0, "\(check.output)")
        }
    }
}

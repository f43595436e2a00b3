import Testing

/// Each rule finds what it is for: a rule that cannot fail proves nothing.
struct RuleTests {
    private func lines(_ violations: [Violation]) -> [Int] { violations.map(\.line) }

    @Test func importsThatAreNotAllowedAreFound() {
        let text = """
            // import Commented
            public import ByteKit
            import ConnectorKit; import Foundation
            @preconcurrency private import struct EventLog.LogReader
            import Glibc
            let text = "import Quoted"
            """
        let connector = RepositoryFile(path: "Connectors/FileSink/FileSink.swift", text: text)
        #expect(lines(ImportRule.violations(connector)) == [3, 4])
        let stranger = RepositoryFile(path: "Sources/Stranger/A.swift", text: "import Glibc\n")
        #expect(ImportRule.violations(stranger).count == 1)
        let source = RepositoryFile(path: "Connectors/SQLiteSource/A.swift", text: "import GRDB\nimport CSQLite\n")
        #expect(lines(ImportRule.violations(source)) == [1])
    }

    @Test func theTableKeepsLibrariesToTheirModules() {
        let owners = ["GRDB": "EventLog", "Yams": "PipelineConfiguration", "ArgumentParser": "Millrace"]
        for (library, owner) in owners {
            #expect(ImportRule.table.filter { $1.contains(library) }.map(\.key) == [owner])
        }
        let kit: Set = [
            "ByteKit", "ChangeModel", "ConnectorKit", "CLibPQ", "CSQLite", "CLinux", "CNATS", "CZlib", "CZstd",
        ]
        for connector in Repository.folders(in: "Connectors") {
            #expect(ImportRule.table[connector]?.isSubset(of: kit) == true, "\(connector)")
        }
        let rowPath = Repository.folders(in: "Connectors") + ["ByteKit", "ChangeModel", "ConnectorKit", "EventFormat"]
        for module in rowPath { #expect(ImportRule.table[module]?.contains("Foundation") == false, "\(module)") }
    }

    @Test func theRatchetOnlyTurnsOneWay() {
        let ratchet = Ratchet(
            limit: 10, allowed: ["same": 12, "more": 12, "less": 12, "fine": 12, "gone": 12], remedy: "x")
        let numbers = ["same": 12, "more": 13, "less": 11, "fine": 10, "new": 11, "small": 1]
        let counts = numbers.sorted { $0.key < $1.key }.map {
            Ratchet.Count(path: $0.key, name: $0.key, number: $0.value)
        }
        #expect(ratchet.violations(counts).map(\.path) == ["less", "more", "new", "fine", "gone"])
    }

    @Test func longFilesAndFunctionsAreCounted() {
        let body = String(repeating: "    x()\n", count: 70)
        let file = RepositoryFile(path: "A.swift", text: "func a() {\n\(body)}\n")
        #expect(LayoutRule.length(file).number == 72)
        #expect(LayoutRule.functionLengths(file) == [Ratchet.Count(path: "A.swift", name: "A.swift: a", number: 72)])
    }

    @Test func wideLinesAreCountedUnlessTheyHoldAnAddress() {
        let wide = String(repeating: "é", count: 121)
        let file = RepositoryFile(
            path: "A.swift", text: "a\n\(wide)\n\(wide)\n// https://\(wide)\n\(wide.dropLast())\n")
        #expect(LayoutRule.wideLines(file) == Ratchet.Count(path: "A.swift", line: 2, name: "A.swift", number: 2))
    }

    @Test func strayWhiteSpaceIsFound() {
        #expect(lines(LayoutRule.violations(RepositoryFile(path: "A", text: "a \n\tb\nc\t\n"))) == [1, 2, 3, 3])
        #expect(lines(LayoutRule.violations(RepositoryFile(path: "A", text: "a\nb"))) == [2])
        #expect(lines(LayoutRule.violations(RepositoryFile(path: "A", text: "a\n\n"))) == [3])
        #expect(LayoutRule.violations(RepositoryFile(path: "A", text: "a\n")) == [])
    }

    @Test(arguments: WordRule.all.map(\.word)) func everyBannedWordIsFound(_ word: String) throws {
        let rule = try #require(WordRule.all.first { $0.word == word })
        let line = rule.part == .code ? "a = \(word) x" : "a // \(word) b"
        let text = "let a = \"\(word)\"\n\(line)\n"
        let bad = RepositoryFile(path: "Tests/ATests/A.swift", text: text)
        #expect(lines(rule.violations(bad, SwiftText(bad.text))) == [2])
        for path in rule.allowed {
            let good = RepositoryFile(path: path, text: text)
            #expect(rule.violations(good, SwiftText(good.text)) == [])
        }
    }

    @Test func sleepsOfEveryKindAreFoundInTestsOnly() {
        let text = SwiftText("try await Task.sleep(for: x)\nThread.sleep(1)\nusleep(1)\nsleep(1)\nsleepless(1)\n")
        let inTests = RepositoryFile(path: "Tests/ATests/A.swift", text: "")
        #expect(WordRule.all.flatMap { lines($0.violations(inTests, text)) }.sorted() == [1, 2, 3, 4])
        let inSources = RepositoryFile(path: "Sources/A/A.swift", text: "")
        #expect(WordRule.all.flatMap { $0.violations(inSources, text) } == [])
    }

    @Test func namesThatSayNothingAreFound() {
        let file = RepositoryFile(
            path: "Sources/A/FileHelpers.swift", text: "let a = FileManager.default\nstruct SinkManager {}\n")
        #expect(lines(EmptyNameRule.violations(file, SwiftText(file.text))) == [1, 2])
    }

    @Test func codesAreFoundWhereTheyAreGiven() {
        let text = """
            throw ConnectorFailure("postgres.slot_lost", .stop, "x", setting: "log.size")
            static let reached = HaltPoint("log.appended")
            case gone = "file.gone"  // "file.commented"
            let path = "log.acknowledge", other = "file.A", long = "file.a.b", word = "nothing.else"
            throw ConnectorFailure("newpart.gone", .stop, "x", setting: "log.directory")
            report(
                "config.bad_value", "\\("event.inner")")
            """
        let found = ManualRule.codes(RepositoryFile(path: "A.swift", text: text))
        #expect(
            found.map(\.name) == ["postgres.slot_lost", "file.gone", "newpart.gone", "config.bad_value", "event.inner"])
        #expect(found.map(\.line) == [1, 3, 5, 7, 7])
        let testing = RepositoryFile(path: "Sources/ConnectorTesting/A.swift", text: text)
        #expect(ManualRule.codes(testing) == [])
    }

    @Test func codesAndTheirExplanationsMustAgree() {
        let manual = RepositoryFile(
            path: "errors.md",
            text: "# x\n\n| `file.gone` | a |\n| `file.stale` | see `log.full` |\n| `file.gone` | b |\n")
        let codes = ["file.gone", "log.full"].map { ManualRule.Named(name: $0, path: "A.swift", line: 7) }
        #expect(
            ManualRule.violations(codes: codes, manual: manual).map(\.description) == [
                "A.swift:7: explain log.full in errors.md",
                "errors.md:4: nothing gives file.stale any longer: take it out",
                "errors.md:5: file.gone is explained twice",
            ])
    }

    @Test func commandsThatAreNotThereAreFound() {
        let code = "f(commandName: \"run\")\nhint: \"then millrace rnu, or millrace run\"  // millrace gone\n"
        let file = RepositoryFile(path: "Sources/A/A.swift", text: code)
        #expect(ManualRule.commands(file) == ["run"])
        #expect(lines(ManualRule.unknownCommands(file, known: ["run"])) == [2])
        let manual = RepositoryFile(path: "docs/a.md", text: "how millrace works\n`millrace rnu`\nmillrace run -x\n")
        #expect(lines(ManualRule.unknownCommands(manual, known: ["run"])) == [2])
    }

    @Test func linksThatLeadNowhereAreFound() {
        let text = "[a](b.md) and [c](../d/e.md#f)\n[g](gone.md), [h](https://x.example/y.md)\n[i](#j) [k](../gone/)\n"
        let manual = RepositoryFile(path: "docs/guides/a.md", text: text)
        let there: Set = ["docs/guides/b.md", "docs/d/e.md"]
        #expect(lines(ManualRule.brokenLinks(manual) { there.contains($0) }) == [2, 3])
    }

    @Test func settingsThatTheManualLacksAreFound() {
        let text =
            "Setting(\"path\", .text),\nSetting(\n    \"size\", .size)\nSetting(\"age\", .duration)\nother(\"x\")\n"
        let settings = ManualRule.settings(RepositoryFile(path: "A.swift", text: text))
        #expect(settings.map(\.name) == ["path", "size", "age"])
        let manual = RepositoryFile(path: "c.md", text: "| `path` |\n| `roll.age` |\n| resize |\n")
        #expect(lines(ManualRule.violations(settings: settings, manual: manual)) == [3])
    }

    @Test func scriptsThatCannotRunAreFound() {
        let script = RepositoryFile(path: "scripts/test", text: "#!/bin/sh\nset -eu\n")
        #expect(ScriptRule.isScript(script))
        #expect(ScriptRule.violations(script, isExecutable: true) == [])
        #expect(ScriptRule.violations(script, isExecutable: false).count == 1)
        let careless = RepositoryFile(path: "scripts/test", text: "#!/bin/bash\n")
        #expect(ScriptRule.violations(careless, isExecutable: true).count == 1)
        #expect(ScriptRule.shell(of: careless) == "bash")
        #expect(ScriptRule.violations(RepositoryFile(path: "scripts/lib/a.sh", text: ""), isExecutable: false) == [])
        #expect(!ScriptRule.isScript(RepositoryFile(path: "scripts/a.py", text: "#!/usr/bin/env python3\n")))
    }

    @Test func findingsOfTheFormatterAreCounted() {
        let output = "\(Repository.root)/Sources/A.swift:3:1: error: [X] a\nnoise\nSources/A.swift:9:2: error: [X] b\n"
        #expect(
            FormatRule.counts(output) == [
                Ratchet.Count(path: "Sources/A.swift", line: 3, name: "Sources/A.swift", number: 2)
            ])
    }
}

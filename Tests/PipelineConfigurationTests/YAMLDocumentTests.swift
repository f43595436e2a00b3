import ConnectorTesting
import PipelineConfiguration
import Testing

struct YAMLDocumentTests {
    static let files = [
        BadFile(
            "empty", "",
            "config.empty - - the file holds no configuration ("
                + "write one as in README.md; docs/reference/configuration.md has every setting)"),
        BadFile(
            "only comments", "# nothing\n\n",
            "config.empty - - the file holds no configuration ("
                + "write one as in README.md; docs/reference/configuration.md has every setting)"),
        BadFile("a list", "- a\n", "config.wrong_type - 1:1 the file should hold keys with values, and is a list"),
        BadFile(
            "two documents", "name: a\n---\nname: b\n",
            "config.syntax - 2:1 the file holds more than one document"
                + " (keep one, and take out the line that separates them)"),
        BadFile(
            "a tab", "name: a\nsource:\n\tsqlite: {}\n",
            "config.syntax - 3:1 not YAML here: found character that cannot start any token"
                + " (indent with spaces, never with tabs)"),
        BadFile(
            "an alias that is none", "name: a\nsource: {postgres: {url: x, tables: [*all]}}\n",
            "config.syntax - 2:38 not YAML here: found undefined alias (put a value that begins with * into quotes)"),
        BadFile(
            "a variable in braces", "name: a\nsource: {sqlite: {path: ${X}}}\n",
            "config.syntax - 2:26 not YAML here: did not find expected ',' or '}'"
                + " (put a value with ${…} that stands inside of { } or [ ] into quotes)"),
        BadFile(
            "a control character", "name: a\nsource: \u{1}\n",
            "config.syntax - 2:9 not YAML: control characters are not allowed"),
    ]

    @Test(arguments: files) func whatIsNotOneDocumentIsRefusedWithItsPlace(_ file: BadFile) {
        #expect(problems(file.text) == file.problems)
    }

    @Test func bytesThatAreNotUTF8AreRefusedWithTheirPlace() {
        let bytes = Array("name: a\nsoé: ".utf8) + [0xC3, 0x28]
        #expect(
            problems(bytes: bytes) == ["config.syntax - 2:6 the file is not UTF-8 (save the file as UTF-8)"])
        #expect(problems(bytes: [0xFF, 0xFE, 0x6E, 0x00])[0].hasPrefix("config.syntax - 1:1"))
    }

    @Test func aFileOfMoreThanAMegabyteIsRefused() {
        let bytes = Array("name: a #".utf8) + Array(repeating: UInt8(ascii: "x"), count: 1 << 20)
        #expect(problems(bytes: bytes) == ["config.too_large - - the file is larger than 1 MiB"])
    }

    @Test(arguments: ["[", "{a: ", "- ", "? ", "a: [", "{? ", "[{", "[? "])
    func nestingWithoutEndIsAProblemNotATrap(_ unit: String) {
        let count = (1 << 20) / unit.utf8.count
        #expect(problems(String(repeating: unit, count: count)).count == 1)
        let closed = String(repeating: unit, count: 990)
        #expect(!problems(closed).isEmpty)
    }

    @Test func nestingThatIsClosedIsAProblemNotATrap() {
        for depth in [100, 480, 900, 1100] {
            let lists = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            #expect(!problems("name: a\nsource: \(lists)\n").isEmpty)
            let keys = String(repeating: "{a: ", count: depth) + "1" + String(repeating: "}", count: depth)
            #expect(!problems("name: a\nsource: {sqlite: {path: \(keys)}}\n").isEmpty)
        }
    }

    @Test func aliasesThatGrowWithoutEndAreNotFollowed() {
        var text = "a0: &a0 [x]\n"
        for level in 1..<40 {
            text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1), *a\(level - 1)]\n"
        }
        #expect(problems(text + "name: a\nsource: {postgres: {url: u, tables: *a39}}\n").count == 43)
    }

    @Test func aDamagedFileNeverTraps() {
        var random = SeededGenerator(seed: 42)
        let good = Array(goodFile.utf8)
        let spice = Array("{}[]:-,#&*!|>'\"%@`\t\n ${?<~0\u{0}".utf8) + [0xFF, 0xC3, 0xE2, 0x80, 0xA8]
        var refused = 0
        for _ in 0..<1500 {
            var bytes = good
            for _ in 0...Int(random.next() % 4) {
                let at = Int(random.next() % UInt64(bytes.count))
                let other = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 5 {
                case 0: bytes.remove(at: at)
                case 1: bytes.insert(spice[Int(random.next() % UInt64(spice.count))], at: at)
                case 2: bytes[at] = spice[Int(random.next() % UInt64(spice.count))]
                case 3: bytes.removeSubrange(min(at, other)..<min(at, other) + (max(at, other) - min(at, other)) / 8)
                default: bytes.insert(contentsOf: bytes[min(at, other)..<max(at, other)].prefix(60), at: at)
                }
                if bytes.isEmpty { bytes = [0x20] }
            }
            let found = problems(bytes: bytes)
            refused += found.isEmpty ? 0 : 1
            #expect(!found.contains { $0.contains("hunter2") || $0.contains("5ecret") })
        }
        #expect(refused > 700)
    }
}

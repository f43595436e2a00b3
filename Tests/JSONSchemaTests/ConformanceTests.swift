import Foundation
import JSONText
import Testing

@testable import JSONSchema

/// The cases of the public test suite, which stand in the folder `Suite` with their licence.
struct ConformanceTests {
    static let drafts = ["draft2020-12", "draft7"]

    /// One file of cases of one draft.
    struct CaseFile: Sendable, CustomTestStringConvertible {
        var draft: String
        var name: String
        var testDescription: String { "\(draft)/\(name)" }
        var isOptional: Bool { name.hasPrefix("optional/") }
        /// The suite's format cases mean formats that are asserted.
        var assertsFormats: Bool { name.hasPrefix("optional/format/") || name.hasPrefix("optional/ecmascript") }
    }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Suite")

    static let files: [CaseFile] = drafts.flatMap { draft in
        jsonFiles(in: folder.appendingPathComponent("tests/\(draft)")).map { CaseFile(draft: draft, name: $0) }
    }

    private static func jsonFiles(in folder: URL) -> [String] {
        let names = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.hasSuffix(".json") }.sorted()
    }

    private static func value(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Array(try Data(contentsOf: folder.appendingPathComponent(path))))
    }

    static let library = Result {
        var library = SchemaLibrary()
        for name in jsonFiles(in: folder.appendingPathComponent("remotes")) {
            library.add(try value("remotes/" + name), under: "http://localhost:1234/" + name)
        }
        return library
    }

    /// Runs the cases of a file. Calls `failing` with each that does not come out as it should.
    @discardableResult
    static func run(_ file: CaseFile, failing: (String) -> Void) throws -> Int {
        var count = 0
        for group in try value("tests/\(file.draft)/\(file.name)").array ?? [] {
            let schema = Result { try Self.schema(group, file) }
            for test in group["tests"]?.array ?? [] {
                count += 1
                let document = try JSONTape(test["data"] ?? .null)
                let verdict = try? schema.get().accepts(document)
                let hasReasons = try? !schema.get().failures(of: document).isEmpty
                if verdict == nil || verdict != test["valid"]?.bool || hasReasons != verdict.map({ !$0 }) {
                    failing(test["description"]?.string ?? "")
                }
            }
        }
        return count
    }

    private static func schema(_ group: JSONValue, _ file: CaseFile) throws -> JSONSchema {
        try JSONSchema(
            group["schema"] ?? .null, library: try library.get(), draft: file.draft == "draft7" ? .draft7 : .draft2020,
            assertsFormats: file.assertsFormats)
    }

    /// Calls `body` with each case of a file whose schema is one, and the schema.
    static func forEachCase(_ file: CaseFile, _ body: (JSONSchema, JSONValue) throws -> Void) throws {
        for group in try value("tests/\(file.draft)/\(file.name)").array ?? [] {
            guard let schema = try? Self.schema(group, file) else { continue }
            for test in group["tests"]?.array ?? [] { try body(schema, test) }
        }
    }

    @Test(arguments: files.filter { !$0.isOptional })
    func requiredCasesPass(_ file: CaseFile) throws {
        try Self.run(file) { Issue.record("\(file.testDescription): \($0)") }
    }

    @Test func theSuiteIsWhole() throws {
        var counts: [String: Int] = [:]
        for file in Self.files { counts[file.draft, default: 0] += try Self.run(file) { _ in } }
        #expect(counts == ["draft2020-12": 1678, "draft7": 1389])
    }

    /// The manual lists what is not passed, in rows like `| 07 | optional/content.json | an invalid JSON document |`.
    @Test func optionalCasesThatAreNotPassedAreThoseOfTheManual() throws {
        var found: Set<String> = []
        for file in Self.files where file.isOptional {
            let draft = file.draft == "draft7" ? "07" : "2020-12"
            try Self.run(file) { found.insert("| \(draft) | \(file.name) | \($0) |") }
        }
        let root = Self.folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let manual = root.appendingPathComponent("docs/reference/json-schema.md")
        let rows = try String(contentsOf: manual, encoding: .utf8).split(separator: "\n").filter {
            $0.hasPrefix("| 07 |") || $0.hasPrefix("| 2020-12 |")
        }
        let listed = Set(rows.map { String($0.replacing("`", with: "")) })
        #expect(found.subtracting(listed).sorted() == [], "write these into the manual, or mend them")
        #expect(listed.subtracting(found).sorted() == [], "these pass: take them out of the manual")
    }
}

import ConnectorKit
import ConnectorTesting
import Foundation
import Testing

@testable import FileSink

/// The rules of every sink, each on an empty folder.
struct FileConformanceTests {
    /// Where the records of one topic are found.
    enum Layout: CaseIterable {
        /// A file for each topic, all in one folder.
        case flat
        /// A folder for each schema and a file for each day and topic.
        case daily

        var path: String {
            switch self {
            case .flat: "{schema}.{table}.jsonl"
            case .daily: "{schema}/{date}/{table}.jsonl"
            }
        }
    }

    @Test(arguments: SinkRule.allCases, Layout.allCases)
    func keeps(rule: SinkRule, layout: Layout) async throws {
        let folder = try SinkFolder()
        let subject = SinkUnderTest(
            promise: .exactlyOnce,
            makeSink: { FileSink(try settings(folder.path + "/" + layout.path)) },
            stored: { try Self.lines(in: folder, layout) })
        #expect(await SinkConformance.violations(of: rule, by: subject) == [])
    }

    /// The lines of all files by topic; days of a topic follow each other as their names do.
    private static func lines(in folder: SinkFolder, _ layout: Layout) throws -> [String: [[UInt8]]] {
        var stored: [String: [[UInt8]]] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
        where name.hasSuffix(".jsonl") {
            let parts = name.dropLast(".jsonl".count).split(separator: "/")
            let topic = layout == .flat ? String(parts[0]) : "\(parts[0]).\(parts[2])"
            let content = [UInt8](try folder.content(name).utf8)
            try #require(content.isEmpty || content.last == 10, "\(name) ends inside of a line")
            stored[topic, default: []] += content.split(separator: 10).map(Array.init)
        }
        return stored
    }
}

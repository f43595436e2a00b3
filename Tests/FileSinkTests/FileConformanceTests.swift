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
        /// Files of a kibibyte, and at the end one that is not finished.
        case rotated
        /// A file for each topic, compressed.
        case compressed

        var path: String {
            switch self {
            case .flat, .rotated, .compressed: "{schema}.{table}.jsonl"
            case .daily: "{schema}/{date}/{table}.jsonl"
            }
        }

        func settings(in folder: SinkFolder) throws -> FileSettings {
            let path = folder.path + "/" + path
            return switch self {
            case .flat, .daily: try FileSettings.plain(path)
            case .rotated: try rotatingSettings(path, .none, size: 1024)
            case .compressed: try FileSettings.plain(path, .gzip)
            }
        }
    }

    @Test(arguments: SinkRule.allCases, Layout.allCases)
    func keeps(rule: SinkRule, layout: Layout) async throws {
        let folder = try SinkFolder()
        let subject = SinkUnderTest(
            promise: .exactlyOnce,
            makeSink: { FileSink(try layout.settings(in: folder)) },
            stored: { try Self.lines(in: folder, layout) })
        #expect(await SinkConformance.violations(of: rule, by: subject) == [])
    }

    /// The lines of all files by topic; days of a topic follow each other as their names do.
    private static func lines(in folder: SinkFolder, _ layout: Layout) throws -> [String: [[UInt8]]] {
        var stored: [String: [[UInt8]]] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
        where name.contains(".jsonl") {
            let parts = name.prefix(upTo: name.range(of: ".jsonl")?.lowerBound ?? name.endIndex).split(separator: "/")
            let topic = layout == .daily ? "\(parts[0]).\(parts[2])" : String(parts[0].prefix { $0 != "-" })
            let content = [UInt8](try folder.text(of: [name], layout == .compressed ? .gzip : .none).utf8)
            try #require(content.isEmpty || content.last == 10, "\(name) ends inside of a line")
            stored[topic, default: []] += content.split(separator: 10).map(Array.init)
        }
        return stored
    }
}

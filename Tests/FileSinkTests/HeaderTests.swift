import ConnectorKit
import Foundation
import Testing

@testable import FileSink

/// Files of formats whose files begin with a line of their own, such as CSV.
struct HeaderTests {
    let folder: SinkFolder
    let store = CursorStore()

    init() throws { folder = try SinkFolder() }

    private func opened(
        _ path: String, _ rotate: [String: SettingValue]? = nil, _ compression: Compression = .none
    ) async throws -> FileSink {
        let sink = FileSink(try settings(folder.path + "/" + path, rotate: rotate, compress: compression))
        try await sink.open(store.context())
        return sink
    }

    private func write(_ sink: FileSink, _ line: String, _ header: String, table: String = "t") async throws {
        let next = store.last.cursor + 1
        let event = TestEvent(line: line, table: table, header: header)
        store.store(try await sink.write(recordBatch([event], nextOffset: next), .required))
    }

    @Test func eachFileBeginsWithItsHeaderOnce() async throws {
        var sink = try await opened("{table}.csv")
        try await write(sink, "1", "a")
        try await write(sink, "2", "a")
        await sink.close()
        sink = try await opened("{table}.csv")
        try await write(sink, "3", "a")
        #expect(try folder.content("t.csv") == "a\n1\n2\n3\n")
        await sink.close()
        // Also when the state knows nothing of the file.
        var state = try FileState(decoding: store.last.state ?? [])
        state.entries = []
        store.store(.durable(before: 3, state: state.encoded))
        sink = try await opened("{table}.csv")
        try await write(sink, "4", "a")
        #expect(try folder.content("t.csv") == "a\n1\n2\n3\n4\n")
    }

    @Test func otherColumnsGoToAnotherFile() async throws {
        var sink = try await opened("{table}.csv")
        try await write(sink, "1", "a")
        try await write(sink, "2,x", "a,b")
        await sink.close()
        sink = try await opened("{table}.csv")
        try await write(sink, "3,y", "a,b")
        try await write(sink, "4", "a")
        #expect(try folder.content("t.csv") == "a\n1\n4\n")
        #expect(try folder.content("t-2.csv") == "a,b\n2,x\n3,y\n")
    }

    @Test(arguments: [Compression.none, .gzip, .zstd])
    func withRotationAChangeOfColumnsFinishesTheFile(compression: Compression) async throws {
        let sink = try await opened("{table}.csv", ["size": .size(1 << 20)], compression)
        try await write(sink, "1", "a")
        try await write(sink, "2", "a,b")
        try await write(sink, "3", "a,b")
        let names = try folder.names().filter { !$0.hasSuffix(".manifest") }
        #expect(names.count == 2 && names[1].hasSuffix(".part"))
        #expect(try folder.text(of: [names[0]], compression) == "a\n1\n")
        #expect(try folder.manifest().map(\.records) == [1], "the header is no record")
    }

    @Test func withRotationTablesInOneFileKeepTheirOwnColumns() async throws {
        let sink = try await opened("all.csv", ["size": .size(1 << 20)])
        for round in 0..<3 {
            try await write(sink, "\(round)", "a", table: "t")
            try await write(sink, "\(round)", "b", table: "u")
        }
        let texts = try folder.names().map(folder.content)
        #expect(texts == ["a\n0\n1\n2\n", "b\n0\n1\n2\n"])
    }

    @Test func aCompressedFileIsGoneOnWithOnlyUnderItsHeader() async throws {
        var sink = try await opened("{table}.csv", nil, .gzip)
        try await write(sink, "1", "a")
        await sink.close()
        sink = try await opened("{table}.csv", nil, .gzip)
        try await write(sink, "2", "a")
        try await write(sink, "3", "a,b")
        #expect(try folder.text(of: ["t.csv.gz"], .gzip) == "a\n1\n2\n")
        #expect(try folder.text(of: ["t-2.csv.gz"], .gzip) == "a,b\n3\n")
    }
}

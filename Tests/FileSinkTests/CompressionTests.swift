import ConnectorKit
import ConnectorTesting
import Foundation
import Glibc
import Testing

@testable import FileSink

struct CompressionTests {
    let folder: SinkFolder
    let store = CursorStore()

    init() throws { folder = try SinkFolder() }

    private func opened(_ path: String, _ compression: Compression) async throws -> FileSink {
        let sink = FileSink(try settings(folder.path + "/" + path, compress: compression))
        try await sink.open(store.context())
        return sink
    }

    private func line(_ number: Int) -> String {
        "{\"specversion\":\"1.0\",\"id\":\"shop-\(number)\",\"type\":\"public.orders.update\","
            + "\"data\":{\"n\":\(number)}}"
    }

    private func write(_ sink: FileSink, _ lines: [String], table: String = "t") async throws {
        let next = store.last.cursor + UInt64(lines.count)
        let batch = recordBatch(lines.map { TestEvent(line: $0, table: table) }, nextOffset: next)
        store.store(try await sink.write(batch, .required))
    }

    @Test(arguments: [Compression.gzip, .zstd])
    func whatIsDurableCanBeDecompressedAtEveryMoment(compression: Compression) async throws {
        var sink = try await opened("t", compression)
        let name = "t" + compression.suffix
        var expected = ""
        for round in 0..<8 {
            if round == 4 {
                await sink.close()
                sink = try await opened("t", compression)
            }
            let lines = (0..<(round * 40 + 1)).map { line(round * 1000 + $0) }
            try await write(sink, lines)
            expected += lines.map { $0 + "\n" }.joined()
            #expect(try folder.text(of: [name], compression) == expected)
        }
    }

    @Test(arguments: [Compression.gzip, .zstd])
    func aTrickleIsCompressedAsWellAsABulk(compression: Compression) async throws {
        let lines = (0..<400).map(line)
        let bulk = try await opened("bulk", compression)
        try await write(bulk, lines)
        await bulk.close()
        let trickle = try await opened("trickle", compression)
        for line in lines { try await write(trickle, [line]) }
        await trickle.close()
        let sizes = try ["bulk", "trickle"].map { try folder.bytes($0 + compression.suffix).count }
        let plain = lines.reduce(0) { $0 + $1.utf8.count + 1 }
        #expect(sizes[0] * 8 < plain)
        // A stream of its own for each line would be larger than the lines.
        #expect(sizes[1] * 3 < plain, "\(sizes) of \(plain)")
        #expect(
            try folder.text(of: ["trickle" + compression.suffix], compression) == lines.map { $0 + "\n" }.joined())
    }

    @Test(arguments: [Compression.gzip, .zstd])
    func moreFilesThanStreamsTakeTurns(compression: Compression) async throws {
        var sink = try await opened("{table}", compression)
        let count = compression.streamsMax * 2 + 3
        for round in 0..<3 {
            if round == 2 {
                await sink.close()
                sink = try await opened("{table}", compression)
            }
            for table in 0..<count { try await write(sink, [line(round)], table: "t\(table)") }
        }
        let expected = (0..<3).map { line($0) + "\n" }.joined()
        for table in [0, 1, count - 1] {
            #expect(try folder.text(of: ["t\(table)" + compression.suffix], compression) == expected)
        }
    }

    @Test(arguments: [Compression.gzip, .zstd])
    func anEventLargerThanAllBuffersIsCompressed(compression: Compression) async throws {
        let sink = try await opened("t", compression)
        var random = SeededGenerator(seed: 5)
        let noise = (0..<400_000).map { _ in String(UInt64.random(in: 0...UInt64.max, using: &random), radix: 36) }
        let large = noise.joined()
        try await write(sink, [large, "small"])
        #expect(try folder.text(of: ["t" + compression.suffix], compression) == large + "\nsmall\n")
    }

    @Test(arguments: [Compression.gzip, .zstd])
    func aPipeGetsWholeStreams(compression: Compression) async throws {
        let pipe = folder.path + "/pipe" + compression.suffix
        #expect(mkfifo(pipe, 0o600) == 0)
        let reader = open(pipe, O_RDONLY | O_NONBLOCK)
        let sink = try await opened("pipe", compression)
        try await write(sink, ["1"])
        try await write(sink, ["2"])
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(reader, &bytes, bytes.count)
        close(reader)
        try #require(count > 0)
        let name = "copy" + compression.suffix
        try Data(bytes.prefix(count)).write(to: URL(fileURLWithPath: folder.path + "/" + name))
        #expect(try folder.text(of: [name], compression) == "1\n2\n")
    }

    @Test func namesGetTheExtensionOnce() throws {
        #expect(try settings("a.jsonl", compress: .gzip).path.text == "a.jsonl.gz")
        #expect(try settings("a.jsonl.zst", compress: .zstd).path.text == "a.jsonl.zst")
        #expect(try settings("/dev/stdout", compress: .zstd).path.text == "/dev/stdout")
    }
}

import ConnectorKit
import Foundation
import Glibc
import Testing

@testable import FileSink

struct FileDiskFullTests {
    @Test func aFullFileSystemIsSurvived() async throws {
        let folder = try SinkFolder()
        let path = folder.path + "/small"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try #require(mount("tmpfs", path, "tmpfs", 0, "size=256k") == 0, "mounting needs root")
        defer { umount2(path, Int32(MNT_DETACH)) }
        let store = CursorStore()
        let sink = FileSink(try settings(path + "/{table}.jsonl"))
        let line = String(repeating: "l", count: 1500)
        var next: UInt64 = 0
        var refused: ConnectorFailure?
        try await sink.open(store.context())
        while refused == nil {
            try #require(next < 5000, "the disk never became full")
            do {
                let batch = recordBatch(
                    [TestEvent(line: line + "\(next)"), TestEvent(line: line)], nextOffset: next + 2)
                store.store(try await sink.write(batch, .required))
                next += 2
            } catch {
                refused = error
            }
        }
        #expect(refused?.code == "file.disk_full")
        #expect(refused?.remedy == .retry)
        await sink.close()
        #expect(mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=16m") == 0)
        #expect(store.last.cursor == next)
        try await sink.open(store.context())
        let batch = recordBatch([TestEvent(line: line + "\(next)"), TestEvent(line: line)], nextOffset: next + 2)
        store.store(try await sink.write(batch, .required))
        await sink.close()
        let expected = stride(from: 0, through: next, by: 2).map { line + "\($0)\n" + line + "\n" }.joined()
        #expect(try String(contentsOfFile: path + "/orders.jsonl", encoding: .utf8) == expected)
    }
}

import ChangeModel
import ConnectorKit
import Foundation
import Glibc
import Testing

@testable import EventLog

struct DiskFullTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private let note = String(repeating: "d", count: 40_000)

    @Test func anAppendThatFoundNoRoomSucceedsOnceThereIsSome() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(sampleBatch(commit: 1))
        try await log.limit(pageCount: 100)
        try await fill(log, from: 2) { try await log.limit(pageCount: 100_000) }
    }

    /// A real file system that is full, with the write-ahead log on it too.
    @Test func aFullFileSystemIsSurvived() async throws {
        let path = folder.path + "/small"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try #require(mount("tmpfs", path, "tmpfs", 0, "size=3m") == 0, "mounting needs root")
        defer { umount2(path, Int32(MNT_DETACH)) }
        let log = try EventLog(directory: path + "/log")
        try await log.appendOrders(sampleBatch(commit: 1))
        try await fill(log, from: 2) {
            try #require(mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=64m") == 0)
        }
        await log.close()
        let again = try EventLog(directory: path + "/log")
        #expect(try await again.statistics().nextOffset == UInt64(try identities(again.makeReader()).count))
    }

    /// Appends until there is no room, tries a few more times, makes room, and appends the same batch again.
    private func fill(_ log: EventLog, from first: UInt64, makeRoom: () async throws -> Void) async throws {
        var commit = first
        var refused: ConnectorFailure?
        while refused == nil {
            do {
                try await log.appendOrders(sampleBatch(commit: commit, rows: 2, note: note))
                if commit % 7 == 0 { _ = try await log.sync() }
                commit += 1
                try #require(commit < 2000, "the disk never became full")
            } catch {
                refused = error as? ConnectorFailure
            }
        }
        #expect(refused?.code == "log.disk_full")
        #expect(refused?.remedy == .retry)
        for _ in 0..<3 {
            #expect(
                await failureCode { try await log.appendOrders(sampleBatch(commit: commit, rows: 2, note: note)) }
                    == "log.disk_full")
        }
        let before = try identities(log.makeReader())
        #expect(try await log.statistics().nextOffset == UInt64(before.count))
        #expect(before.last?.commit == commit - 1)
        try await makeRoom()
        let batch = try sampleBatch(commit: commit, rows: 2, note: note)
        #expect(try await log.appendOrders(batch).firstOffset == UInt64(before.count))
        #expect(try await log.sync() == batch.checkpoint)
        let after = try identities(log.makeReader())
        let added = [ChangeIdentity(commit: commit, ordinal: 0), ChangeIdentity(commit: commit, ordinal: 1)]
        #expect(after == before + added)
    }
}

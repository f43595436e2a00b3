import ChangeModel
import ConnectorKit
import EventLog
import Foundation
import Glibc
import Testing

/// A process that is killed in the middle of appends, again and again, on the same log.
struct CrashTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The largest batches have their bodies in files.
    @Test(arguments: [1, 40, 2000, 6000])
    func aKilledProcessLosesNothingAndDoublesNothing(rows: Int) async throws {
        var acknowledged: UInt64 = 0
        for round in 1...4 {
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = folder.path as String, rows = rows as Int, pause = 15 * round as Int] in
                try await appendUntilKilled(path, rows: rows, afterMilliseconds: pause)
            }
            let log = try EventLog(directory: folder.log)
            let found = try identities(log.makeReader())
            let expected = (0..<UInt64(found.count)).map { identity(ofChange: $0, rows: rows) }
            #expect(found == expected)
            #expect(found.count % rows == 0)
            let told = try UInt64(String(contentsOfFile: folder.path + "/acknowledged", encoding: .utf8)) ?? 0
            #expect(UInt64(found.count) >= told)
            #expect(UInt64(found.count) <= told + UInt64(rows))
            #expect(try await log.checkpoint()?.last == found.last)
            #expect(try await log.statistics().nextOffset == UInt64(found.count))
            acknowledged = max(acknowledged, told)
            await log.close()
        }
        #expect(acknowledged > 0, "no child got as far as one append: the test saw nothing")
    }

    @Test func aCopyOfTheFilesInTheMiddleOfAppendsIsAWholeLog() async throws {
        let log = try EventLog(directory: folder.log)
        for commit in 1...60 {
            try await log.appendOrders(
                sampleBatch(commit: UInt64(commit), rows: 2, note: String(repeating: "c", count: 9000)))
            guard commit % 15 == 0 else { continue }
            let copy = folder.path + "/copy-\(commit)"
            try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
            for name in ["log.sqlite", "log.sqlite-wal"] {
                try FileManager.default.copyItem(atPath: folder.log + "/" + name, toPath: copy + "/" + name)
            }
            // A power cut tears the end of the log of writes: any prefix of it must be a whole log too.
            let wal = copy + "/log.sqlite-wal"
            let size = try #require(try FileManager.default.attributesOfItem(atPath: wal)[.size] as? Int)
            try FileHandle(forWritingTo: URL(fileURLWithPath: wal)).truncate(atOffset: UInt64(size - commit * 331))
            let reopened = try EventLog(directory: copy)
            let found = try identities(reopened.makeReader())
            #expect(!found.isEmpty)
            #expect(found.last == (try await reopened.checkpoint()?.last))
            let expected = (0..<UInt64(found.count)).map { identity(ofChange: $0, rows: 2) }
            #expect(found == expected)
        }
    }
}

/// The change at an offset, when each commit has `rows` changes.
private func identity(ofChange offset: UInt64, rows: Int) -> ChangeIdentity {
    ChangeIdentity(commit: offset / UInt64(rows) + 1, ordinal: UInt32(offset % UInt64(rows)))
}

/// Goes on behind the checkpoint of the log and writes down what was appended, until a second thread kills the process.
private func appendUntilKilled(_ path: String, rows: Int, afterMilliseconds: Int) async throws {
    let log = try EventLog(directory: path + "/log")
    var commit = (try await log.checkpoint()?.last?.commit ?? 0) + 1
    let note = open(path + "/acknowledged", O_WRONLY | O_CREAT, 0o600)
    func append() async throws {
        let logged = try await log.appendOrders(sampleBatch(commit: commit, rows: rows, mustBeDurable: rows > 2000))
        let text = Array(String(logged.nextOffset).utf8)
        _ = pwrite(note, text, text.count, 0)
        if commit % 5 == 0 { _ = try await log.sync() }
        commit += 1
    }
    try await append()
    startThread(name: "killer") {
        usleep(UInt32(afterMilliseconds * 1000))
        kill(getpid(), SIGKILL)
    }
    while true { try await append() }
}

import ByteKit
import ChangeModel
import ConnectorKit
import EventLog
import Foundation
import Testing

struct LogReaderTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func withoutALogThereIsNothingToRead() async throws {
        #expect(await failureCode { _ = try LogReader(directory: folder.log) } == "log.not_found")
    }

    @Test func aReaderFollowsTheWriterAndIsAheadOfNothing() async throws {
        let log = try EventLog(directory: folder.log)
        let reader = try LogReader(directory: folder.log)
        #expect(try reader.read(from: 0) == nil)
        #expect(try reader.read(from: .max) == nil)
        try await log.appendOrders(sampleBatch(commit: 1, rows: 2))
        #expect(try reader.read(from: 1)?.firstOffset == 0)
        #expect(try reader.read(from: 2) == nil)
        try await log.appendOrders(sampleBatch(commit: 2, rows: 2))
        #expect(try reader.read(from: 2)?.firstOffset == 2)
    }

    @Test func aLogIsReadableWhenNoWriterRuns() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(sampleBatch(commit: 1, rows: 2))
        await log.close()
        let reader = try LogReader(directory: folder.log)
        #expect(try identities(reader).count == 2)
        #expect(try reader.statistics().nextOffset == 2)
    }

    @Test func aRelationThatIsRegisteredLaterIsFound() async throws {
        let log = try EventLog(directory: folder.log)
        let reader = try LogReader(directory: folder.log)
        try await log.appendOrders(sampleBatch(commit: 1))
        #expect(try reader.read(from: 0)?.versions.first?.relation == orders)
        let later = Relation(sourceID: 8, schema: "public", name: "later", columns: [])
        let version = try await log.register(later, subject: "later", version: 1)
        _ = try await log.append(sampleBatch(commit: 2, relation: later), versions: [version])
        #expect(try reader.read(from: 3)?.versions.first?.subject == "later")
    }

    @Test func aTimeLeadsToTheFirstChangeThatIsNotBeforeIt() async throws {
        let log = try EventLog(directory: folder.log)
        let reader = try log.makeReader()
        #expect(try reader.offset(committedAtOrAfter: 0) == 0)
        for commit in 1...50 {
            try await log.appendOrders(sampleBatch(commit: UInt64(commit), rows: 2, committedAt: Int64(commit * 100)))
        }
        #expect(try reader.offset(committedAtOrAfter: 0) == 0)
        #expect(try reader.offset(committedAtOrAfter: 100) == 0)
        #expect(try reader.offset(committedAtOrAfter: 101) == 2)
        #expect(try reader.offset(committedAtOrAfter: 2500) == 48)
        #expect(try reader.offset(committedAtOrAfter: 5000) == 98)
        #expect(try reader.offset(committedAtOrAfter: 5001) == 100)
    }

    @Test func everyFlippedByteOfABatchIsDamageAndNoTrap() async throws {
        let log = try EventLog(directory: folder.log)
        let batch = try sampleBatch(commit: 0x1122_3344_5566_7788, rows: 2, note: "needle")
        try await log.appendOrders(batch)
        await log.close()
        let body = (0..<batch.body.count).map { batch.body.load(at: $0, as: UInt8.self) }
        let url = URL(fileURLWithPath: folder.database)
        let whole = try Data(contentsOf: url)
        let start = try #require(whole.range(of: Data(body))).lowerBound
        for place in body.indices {
            var damaged = whole
            damaged[start + place] ^= 0x41
            try damaged.write(to: url)
            let failure = #expect(throws: ConnectorFailure.self) {
                _ = try LogReader(directory: folder.log).read(from: 1)
            }
            #expect(failure?.code == "log.damaged")
            #expect(failure?.message.contains("offset 0") == true)
            #expect(failure?.message.contains("needle") == false)
        }
        try whole.write(to: url)
        #expect(try LogReader(directory: folder.log).read(from: 1) != nil)
    }

    @Test func aFileCutShortIsAnErrorAndNoTrap() async throws {
        let log = try EventLog(directory: folder.log)
        for commit in 1...20 {
            try await log.appendOrders(
                sampleBatch(commit: UInt64(commit), rows: 4, note: String(repeating: "z", count: 4000)))
        }
        await log.close()
        let url = URL(fileURLWithPath: folder.database)
        let whole = try Data(contentsOf: url)
        for length in stride(from: 0, to: whole.count, by: whole.count / 12) {
            try whole.prefix(length).write(to: url)
            let code = await failureCode {
                let reader = try LogReader(directory: folder.log)
                for offset: UInt64 in stride(from: 0, to: 80, by: 4) { _ = try reader.read(from: offset) }
                throw ConnectorFailure("nothing.failed", .stop, "")
            }
            #expect(["log.damaged", "log.unknown_format", "log.not_found", "log.failed"].contains(code))
        }
    }
}

import ChangeModel
import ConnectorKit
import Glibc
import Testing

@testable import PostgresSource

/// Memory that a large row takes, measured in a process of its own.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct LargeRowTests {
    @Test func aRowOfTwentyMebibytesTakesAFewTimesItsLength() async throws {
        await #expect(processExitsWith: .success) { try await takeLargeRows(throughLibPQ: false, limit: 6) }
    }

    /// libpq has a buffer of its own and hands out a copy.
    @Test func aRowOfTwentyMebibytesThroughLibPQTakesAFewTimesItsLength() async throws {
        await #expect(processExitsWith: .success) { try await takeLargeRows(throughLibPQ: true, limit: 8) }
    }
}

/// Fails when memory grows by more than `limit` times the length of a row while several large rows are taken, one by
/// one.
private func takeLargeRows(throughLibPQ: Bool, limit: Int) async throws {
    let database = try TestDatabase()
    try database.run("CREATE TABLE t (id int PRIMARY KEY, v text)")
    let reader = try SourceReader(database, tables: ["public.t"], throughLibPQ: throughLibPQ)
    _ = try await reader.open()
    let before = try peakKibibytes()
    var lengths: [Int] = []
    for id in 0..<4 {
        try database.run("INSERT INTO t VALUES (\(id), repeat('0123456789', 2 * 1024 * 1024))")
        let deadline = ContinuousClock.now + .seconds(60)
        while lengths.count <= id, ContinuousClock.now < deadline {
            let batch = try await reader.source.nextBatch(until: deadline)
            lengths += (0..<batch.changeCount).map { Int(batch.change(at: $0).after.length) }
        }
    }
    await reader.source.close()
    let rows = (try peakKibibytes() - before) / (20 << 10)
    try #require(lengths.count == 4 && lengths.allSatisfy { $0 > 20 << 20 })
    try #require(rows <= limit)
}

/// The most memory that the process has had (proc(5), VmHWM).
private func peakKibibytes() throws -> Int {
    let file = try #require(fopen("/proc/self/status", "r"))
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, 256, file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if text.hasPrefix("VmHWM:") { return try #require(Int(text.filter(\.isNumber))) }
    }
    return try #require(nil as Int?)
}

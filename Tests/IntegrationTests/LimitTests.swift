import Foundation
import ProgramTesting
import Testing

/// Rows and transactions of a size that few applications reach: they arrive whole, and memory stays bounded.
@Suite(.serialized)
struct LimitTests {
    @Test func aTransactionOfHalfAMillionRowsStaysWithinTheMemoryBound() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, status text, note text)")
        let program = try MillraceProgram(configuration: configuration(database))
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql(
            "INSERT INTO orders SELECT i, 'new', 'a parcel that goes to the back office ' || i "
                + "FROM generate_series(1, 500000) i"
        )
        try running.wait(for: "500,000 events") { try lineCount(program.folder.path("out/orders.jsonl")) >= 500_000 }
        let peak = try peakMegabytes(of: running.id)
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 143)
        #expect(try lineCount(program.folder.path("out/orders.jsonl")) == 500_000)
        // The target is 60 MB for the optimised program; this is the debug build, with some room for its larger code.
        #expect(peak < 90, "peak memory was \(peak) MB")
    }

    @Test func aRowOfTwentyMegabytesArrivesWhole() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, note text)")
        let program = try MillraceProgram(configuration: configuration(database))
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, repeat(E'twenty \"bytes\" here\\n', 1048576)), (2, 'small')")
        try program.catchUp()
        let events = try program.events(in: "out/orders.jsonl")
        #expect(events.map(\.key) == ["id=1", "id=2"])
        let note = try #require(events[0].after?["note"] as? String)
        #expect(note.utf8.count == 20 << 20)
        #expect(note == String(repeating: "twenty \"bytes\" here\n", count: 1 << 20))
    }

    @Test func aTableOfManyColumnsAndOneOfNoneArrive() throws {
        let database = try PostgresDatabase()
        let columns = (1...1599).map { "c\($0) int" }.joined(separator: ", ")
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, \(columns)); CREATE TABLE empty ()")
        try database.sql("ALTER TABLE empty REPLICA IDENTITY FULL")
        let program = try MillraceProgram(configuration: configuration(database, tables: "public.orders, public.empty"))
        try program.catchUp()
        try database.sql("INSERT INTO orders (id, c1599) VALUES (1, 7)")
        try database.sql("INSERT INTO empty DEFAULT VALUES")
        try program.catchUp()
        let events = try program.events(in: "out/orders.jsonl")
        #expect(events.count == 1)
        #expect(events.first?.after?.count == 1600)
        #expect(events.first?.after?["c1599"] == AnyHashable(7))
        #expect(try program.events(in: "out/empty.jsonl").map(\.operation) == ["insert"])
    }

    private func lineCount(_ path: String) throws -> Int {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else { return 0 }
        return data.reduce(0) { $1 == 10 ? $0 + 1 : $0 }
    }

    private func peakMegabytes(of process: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM") })
        return try #require(Int(line.filter(\.isNumber))) / 1024
    }
}

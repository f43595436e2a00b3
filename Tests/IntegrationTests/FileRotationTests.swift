import Foundation
import ProgramTesting
import Testing

/// Rotated files as a user meets them.
@Suite(.serialized)
struct FileRotationTests {
    private func shop(_ sink: String) throws -> MillraceProgram {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                sinks:
                  archive:
                \(sink)
                """)
        try program.sqlite("shop.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT)")
        try program.sqlite("shop.db", "INSERT INTO orders VALUES (1, 'new'), (2, NULL), (3, 'a \"b\", c')")
        return program
    }

    private func names(_ program: MillraceProgram) throws -> [String] {
        let folder = program.folder.path("out")
        return FileManager.default.fileExists(atPath: folder)
            ? try FileManager.default.contentsOfDirectory(atPath: folder).sorted() : []
    }

    private let first = "orders-00000000000000000000"

    @Test func aFileIsFinishedByItsAgeWhileNothingComes() throws {
        let program = try shop("    file: {path: \"out/{table}.jsonl\", rotate: {age: 1s}, compress: gzip}")
        let running = try program.start("run")
        try running.wait(for: "the finished file") { try names(program).contains(first + ".jsonl.gz") }
        try running.wait(for: "its line") {
            let manifest = try? String(contentsOfFile: program.folder.path("out/_archive.manifest"), encoding: .utf8)
            return manifest?.hasSuffix("}\n") == true
        }
        #expect(try names(program) == ["_archive.manifest", first + ".jsonl.gz"])
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 128 + SIGTERM)
        let lines = try runProgram("/usr/bin/env", ["gzip", "-dc", program.folder.path("out/\(first).jsonl.gz")]).output
        #expect(lines.split(separator: "\n").count == 3)
    }

    @Test func runsUntilCaughtUpGoOnWithAFileUnlessTheyAreToFinishIt() throws {
        let program = try shop("    file: {path: \"out/{table}.jsonl\", rotate: {size: 1MiB}}")
        try program.catchUp()
        try program.sqlite("shop.db", "UPDATE orders SET status = 'paid' WHERE id = 1")
        try program.catchUp()
        #expect(try names(program) == [first + ".jsonl.part"])
        let configuration = program.folder.path("millrace.yaml")
        let text = try String(contentsOfFile: configuration, encoding: .utf8)
        try text.replacing("1MiB", with: "1MiB, finish_on_stop: true")
            .write(toFile: configuration, atomically: true, encoding: .utf8)
        try program.catchUp()
        #expect(try names(program) == ["_archive.manifest", first + ".jsonl"])
        #expect(try program.events(in: "out/\(first).jsonl").count == 4)
        // What is replayed goes to a file of its own.
        let replayed = try program.run("replay", "archive", "--from", "earliest")
        #expect(replayed.exitCode == 0, "\(replayed.errors)")
        try program.catchUp()
        #expect(try names(program) == ["_archive.manifest", "\(first)-2.jsonl", first + ".jsonl"])
        let ids = try ["-2", ""].map { try program.events(in: "out/\(first)\($0).jsonl").map(\.id) }
        #expect(ids[0] == ids[1])
    }

    @Test func csvIsReadByOthersAndAChangedTableGoesOnInAnotherFile() throws {
        let program = try shop(
            """
                    file: {path: "out/{table}.csv"}
                    format: csv
            """)
        try program.catchUp()
        try program.sqlite("shop.db", "ALTER TABLE orders ADD COLUMN note")
        try program.catchUp()
        try program.sqlite("shop.db", "UPDATE orders SET note = 'x' WHERE id = 1")
        try program.catchUp()
        #expect(try names(program) == ["orders-2.csv", "orders.csv"])
        let read = """
            .mode csv
            .import '\(program.folder.path("out/orders.csv"))' one
            .import '\(program.folder.path("out/orders-2.csv"))' two
            .mode list
            SELECT _op, id, status FROM one ORDER BY _sequence, id;
            SELECT _op, id, status, note FROM two WHERE _op = 'update';
            """
        let script = try program.folder.write("read.sql", read)
        #expect(
            try SQLiteShell.run(":memory:", ".read '\(script)'")
                == "snapshot|1|new\nsnapshot|2|\nsnapshot|3|a \"b\", c\nupdate|1|new|x\n")
    }
}

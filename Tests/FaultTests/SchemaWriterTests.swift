import Foundation
import ProgramTesting
import SchemaRegistry
import Testing

/// Several processes write in one schema folder, and some of them die at the worst moment.
struct SchemaWriterTests {
    private let program: MillraceProgram
    private var store: SchemaStore { SchemaStore(directory: program.folder.path("Schemas")) }

    init() throws { program = try MillraceProgram(configuration: "") }

    private func write(_ name: String, member: String, _ more: String = "") throws {
        try program.folder.write(name, "{\"properties\": {\"\(member)\": {\"type\": \"string\"}}\(more)}")
    }

    private func start(_ words: String..., haltAt: String? = nil) throws -> ChildProcess {
        try ChildProcess(
            MillraceProgram.executable, ["schema"] + words + ["--schemas", "Schemas"],
            environment: haltAt.map { ["MILLRACE_HALT_AT": $0] } ?? [:], folder: program.folder.url)
    }

    private func run(_ words: String...) throws -> ChildResult {
        try runProgram(
            MillraceProgram.executable, ["schema"] + words + ["--schemas", "Schemas"], folder: program.folder.url)
    }

    @Test func processesThatRegisterAtOnceNeitherLoseNorRepeatAVersion() throws {
        for number in 0..<6 { try write("\(number).json", member: "c\(number)") }
        var running: [ChildProcess] = []
        // Each schema by two processes, in one subject, and in a subject of its own.
        for round in 0..<2 {
            for number in 0..<6 {
                running.append(try start("register", "shared", "\(number).json"))
                if round == 0 { running.append(try start("register", "own\(number)", "\(number).json")) }
            }
        }
        for process in running {
            let result = try process.finish()
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        let all = try store.schemas()
        #expect(try store.versions(of: "shared") == Array(1...6))
        #expect(Set(all.filter { $0.subject == "shared" }.map(\.id)).count == 6)
        for schema in all where schema.subject != "shared" {
            #expect(try store.uses(ofID: schema.id).count == 2)
        }
        #expect(try run("check").output == "7 subjects, 12 versions: nothing is wrong\n")
    }

    @Test(arguments: ["schema.before_record", "schema.record_written", "schema.before_rename"])
    func registrationThatIsKilledIsDoneWhollyOrNotAtAll(_ point: String) throws {
        try write("money.json", member: "cents")
        try write("order.json", member: "total", ", \"$ref\": \"money.json\"")
        #expect(try run("register", "money", "money.json").exitCode == 0)
        let reference = "money.json=money@1"
        let victim = try start("register", "order", "order.json", "--reference", reference, haltAt: point)
        try victim.waitForError(containing: "halted at \(point)")
        // Meanwhile nobody sees a half of it.
        #expect(try store.subjects() == ["money"])
        victim.kill()
        #expect(try store.subjects() == ["money"])
        // Somebody else's schema takes the number, without the dead one's references.
        try write("plain.json", member: "plain")
        #expect(try run("register", "order", "plain.json").exitCode == 0)
        #expect(try store.schema(of: "order", .latest).references == [])
        #expect(try run("compatibility", "order", "NONE").exitCode == 0)
        let again = try run("register", "order", "order.json", "--reference", reference)
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try store.schema(of: "order", .number(2)).references.map(\.subject) == ["money"])
        #expect(try run("check").exitCode == 0)
        let names = try FileManager.default.contentsOfDirectory(atPath: program.folder.path("Schemas/order")).sorted()
        #expect(names == ["subject.json", "v1.schema.json", "v2.schema.json"])
    }

    @Test(arguments: [
        "schema.record_written:1", "schema.before_removal:1", "schema.before_removal:2", "schema.before_record:2",
    ])
    func deletionThatIsKilledGoesOnWhereItStopped(_ point: String) throws {
        for number in 0..<2 {
            try write("\(number).json", member: "c\(number)")
            #expect(try run("register", "s", "\(number).json").exitCode == 0)
        }
        #expect(try run("delete", "s").exitCode == 0)
        let victim = try start("delete", "s", "--permanent", haltAt: point)
        try victim.waitForError(containing: "halted at")
        victim.kill()
        #expect(try store.subjects() == [], "what was deleted never comes back")
        let rest = try run("delete", "s", "--permanent")
        // Nothing is left to delete when the process died after the last file.
        #expect(rest.exitCode == 0 || rest.errors.contains("schema.unknown_subject"), "\(rest.errors)")
        #expect(try run("register", "s", "0.json").exitCode == 0)
        #expect(try store.versions(of: "s", .all) == [3], "a number is never given again")
    }

    @Test func processThatHoldsTheFolderIsWaitedFor() throws {
        try write("a.json", member: "a")
        try write("b.json", member: "b")
        let holder = try start("register", "s", "a.json", haltAt: "schema.before_rename")
        try holder.waitForError(containing: "halted at")
        let waiting = try start("register", "s", "b.json")
        // Readers never wait.
        #expect(try run("list").exitCode == 0)
        #expect(waiting.isRunning)
        holder.kill()
        let result = try waiting.finish()
        #expect(result.exitCode == 0 && result.output.hasPrefix("s: version 1,"), "\(result.errors)")
    }
}

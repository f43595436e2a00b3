import Foundation
import ProgramTesting
import Testing

/// The program is killed at its files, and a backup of its source and its log is put back that knows nothing of that
/// run. The files must stay as they are; and with what was put aside they are written on as after any kill.
@Suite(.serialized)
struct OlderLogKillTests {
    @Test(arguments: [
        ("file.torn_write:2", "none"), ("file.before_sync:2", "gzip"), ("file.after_sync:2", "none"),
        ("sink.durable:2", "gzip"), ("sink.durable:4", "none"),
    ])
    func anOlderLogCutsNothingThatARunWroteThatWasKilled(at point: String, compression: String) throws {
        let place = try BackedUpTill(compression)
        try place.till.work(statements: 200, seed: 1)
        try place.till.program.catchUp()
        try place.move("backup", isCopy: true)
        let victim = try place.till.program.start("run", haltAt: point)
        var burst: UInt64 = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            burst += 1
            try place.till.work(statements: 5, seed: burst)
            return false
        }
        victim.kill()
        let written = try place.files()
        try place.move("newer", isCopy: false)
        try place.putBack("backup")
        for _ in 0..<2 {
            try place.till.work(statements: 20, seed: 3)
            let refused = try place.till.program.run("run", "--until-caught-up")
            #expect(refused.exitCode != 0 && refused.errors.contains("file.newer_than_log"), "\(refused.errors)")
            #expect(try place.files() == written)
        }
        try place.move("backup", isCopy: false)
        try place.putBack("newer")
        try place.till.work(statements: 200, seed: 2)
        try place.till.program.catchUp()
        try place.expectExactDelivery()
    }
}

/// A till whose database and log are put aside and back.
private struct BackedUpTill {
    let till: Till
    private let compression: String

    init(_ compression: String) throws {
        self.compression = compression
        till = try Till(file: "path: \"written/{table}.jsonl\", compress: \(compression)")
    }

    private func url(_ name: String) -> URL { till.program.folder.url.appending(path: name) }

    /// Copies or moves the database and the log into a folder, which is made anew.
    func move(_ folder: String, isCopy: Bool) throws {
        let files = FileManager.default
        if files.fileExists(atPath: url(folder).path) { try files.removeItem(at: url(folder)) }
        try files.createDirectory(at: url(folder), withIntermediateDirectories: true)
        for name in try own(in: till.program.folder.url) {
            let target = url("\(folder)/\(name)")
            try isCopy ? files.copyItem(at: url(name), to: target) : files.moveItem(at: url(name), to: target)
        }
    }

    func putBack(_ folder: String) throws {
        for name in try own(in: url(folder)) {
            try FileManager.default.moveItem(at: url("\(folder)/\(name)"), to: url(name))
        }
    }

    private func own(in folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0 == ".millrace" || $0.hasPrefix("till.db") }
    }

    /// The files that the program wrote.
    func files() throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: url("written").path)
        return Dictionary(uniqueKeysWithValues: try names.map { ($0, try Data(contentsOf: url("written/\($0)"))) })
    }

    func expectExactDelivery() throws {
        let files = FileManager.default
        try files.createDirectory(at: url("out"), withIntermediateDirectories: true)
        let tool = compression == "none" ? ["cat"] : ["gzip", "-dcq"]
        for name in try files.contentsOfDirectory(atPath: url("written").path) where !name.hasPrefix(".") {
            let table = String(name.prefix { $0 != "." })
            let result = try runProgram("/usr/bin/env", tool + [name], folder: url("written"))
            #expect(result.exitCode == 0, "\(result.errors)")
            try till.program.folder.write("out/\(table).jsonl", result.output)
        }
        try till.expectExactDelivery()
    }
}

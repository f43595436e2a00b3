import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

/// The program is killed at named points on its way through files that are rotated and compressed, and started again on
/// the same disk. The files must then hold each event once, and the manifest must tell of what is finished.
@Suite(.serialized)
struct RotationKillTests {
    @Test(arguments: [
        ("file.listed:2", "none"), ("file.torn_write:3", "gzip"), ("file.after_sync:2", "zstd"),
        ("sink.durable:2", "gzip"), ("file.finishing:1", "zstd"), ("file.finishing:2", "gzip"),
        ("file.renamed:1", "gzip"), ("file.renamed:2", "none"), ("file.manifested:1", "zstd"),
        ("file.manifested:3", "gzip"),
    ])
    func eachEventIsInOneFileOnceAfterAKill(at point: String, compression: String) throws {
        let till = try RotatedTill(compression)
        try till.till.work(statements: 200, seed: 1)
        let victim = try till.till.program.start("run", haltAt: point)
        var burst: UInt64 = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            burst += 1
            try till.till.work(statements: 20, seed: burst)
            return false
        }
        victim.kill()
        try till.till.work(statements: 200, seed: 2)
        try till.till.program.catchUp()
        try till.expectExactDelivery()
    }

    @Test(arguments: ["gzip", "zstd"])
    func eachEventIsInOneFileOnceAfterKillsAtRandomMoments(compression: String) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let till = try RotatedTill(compression)
        try till.till.work(statements: 300, seed: seed)
        for round in 0..<5 {
            let victim = try till.till.program.start("run")
            let wanted = try till.finishedCount() + Int.random(in: 0...3, using: &random)
            var burst = seed &+ UInt64(round) &* 1000
            try victim.wait(for: "progress (seed \(seed))") {
                burst &+= 1
                try till.till.work(statements: 40, seed: burst)
                return try till.finishedCount() >= wanted
            }
            victim.kill()
        }
        try till.till.program.catchUp()
        try till.expectExactDelivery("seed \(seed)")
    }
}

/// A till whose files are rotated.
private struct RotatedTill {
    let till: Till
    private let compression: String

    init(_ compression: String) throws {
        self.compression = compression
        till = try Till(
            file:
                "path: \"rotated/{table}.jsonl\", compress: \(compression), rotate: {size: 4KiB, finish_on_stop: true}")
    }

    private var folder: URL { till.program.folder.url.appending(path: "rotated") }

    func finishedCount() throws -> Int { try manifest().count }

    private func manifest() throws -> [String] {
        let url = folder.appending(path: "_items.manifest")
        guard FileManager.default.fileExists(atPath: url.path) else { return [] }
        // The last line may be on its way.
        return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["name"] as? String
        }
    }

    /// All files are finished and in the manifest once; what is in them is what a single file would have.
    func expectExactDelivery(_ comment: Comment? = nil) throws {
        let listed = try manifest()
        #expect(Set(listed).count == listed.count, comment)
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            .filter { $0 != "_items.manifest" }
        #expect(files == listed.sorted(), comment)
        #expect(listed.count > 2, "a run without rotation proves nothing")
        try FileManager.default.createDirectory(
            at: till.program.folder.url.appending(path: "out"), withIntermediateDirectories: true)
        let tool = ["none": ["cat"], "gzip": ["gzip", "-dcq"], "zstd": ["zstd", "-dcq"]][compression] ?? []
        for table in ["items", "notes"] {
            let own = files.filter { $0.hasPrefix(table + "-") }
            let result = try runProgram("/usr/bin/env", tool + own, folder: folder)
            #expect(result.exitCode == 0, "\(result.errors)")
            _ = try till.program.folder.write("out/\(table).jsonl", result.output)
        }
        try till.expectExactDelivery(comment)
    }
}

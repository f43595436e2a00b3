import Foundation

/// Runs Python on files, so that events are judged by programs that are not ours. The packages of `scripts/test` must
/// be there.
enum Python {
    struct Failure: Error, CustomStringConvertible { let description: String }

    /// Runs a program with the lines as a file, whose path is its first argument; `arguments` follow. Throws what it
    /// wrote on standard error when it fails, and returns its standard output.
    static func run(_ program: String, lines: [String], arguments: [String] = []) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(path: "millrace-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let input = folder.appending(path: "events.jsonl")
        let output = folder.appending(path: "output")
        let errors = folder.appending(path: "errors")
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: input)
        for file in [output, errors] { try Data().write(to: file) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-c", program, input.path] + arguments
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: try String(contentsOf: errors, encoding: .utf8))
        }
        return try String(contentsOf: output, encoding: .utf8)
    }

    /// The repository's root.
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
}

import Foundation

/// A text file of the repository.
struct RepositoryFile: Sendable {
    /// The path from the repository's root.
    var path: String
    /// The content; bytes that are not UTF-8 show as replacement characters.
    var text: String

    /// The lines without their ends.
    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    /// The file's name without folders.
    var name: String { String(path.split(separator: "/").last ?? "") }
}

/// What breaks a rule, where, and what to do about it.
struct Violation: Equatable, CustomStringConvertible {
    var path: String
    var line: Int
    var remedy: String

    var description: String { "\(path):\(line): \(remedy)" }
}

/// The repository that this file is in.
enum Repository {
    /// The root folder.
    static let root: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    /// Every Swift file: modules, connectors, tests, and the package's manifest.
    static let swiftFiles: [RepositoryFile] =
        (["Sources", "Connectors", "Tests"].flatMap { files(in: $0) } + [file("Package.swift")].compactMap { $0 })
        .filter { $0.path.hasSuffix(".swift") }

    /// The Swift files that become the product.
    static let productFiles = swiftFiles.filter { $0.path.hasPrefix("Sources/") || $0.path.hasPrefix("Connectors/") }

    /// The files in a folder and the folders inside of it, in the order of their paths. Hidden ones are left out.
    static func files(in folder: String) -> [RepositoryFile] {
        let paths = FileManager.default.enumerator(atPath: "\(root)/\(folder)")?.compactMap { $0 as? String } ?? []
        return paths.filter { !$0.split(separator: "/").contains { $0.hasPrefix(".") } }.sorted()
            .compactMap { file("\(folder)/\($0)") }
    }

    /// One file; nil when there is none, or when it is a folder.
    static func file(_ path: String) -> RepositoryFile? {
        var isFolder: ObjCBool = false
        let full = "\(root)/\(path)"
        guard FileManager.default.fileExists(atPath: full, isDirectory: &isFolder), !isFolder.boolValue,
            let data = FileManager.default.contents(atPath: full)
        else { return nil }
        return RepositoryFile(path: path, text: String(decoding: data, as: UTF8.self))
    }

    /// The names of the folders directly inside of a folder.
    static func folders(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
        var isFolder: ObjCBool = false
        return names.filter {
            FileManager.default.fileExists(atPath: "\(root)/\(folder)/\($0)", isDirectory: &isFolder)
                && isFolder.boolValue
        }.sorted()
    }

    /// True for a path of a file or folder that there is.
    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(root)/\(path)") }

    /// Runs a program in the root, and gives its status and everything that it wrote.
    static func run(_ command: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.currentDirectoryURL = URL(fileURLWithPath: root)
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}

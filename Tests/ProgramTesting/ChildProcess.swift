package import Foundation
private import Synchronization

/// What a finished child process left.
package struct ChildResult: Sendable {
    /// The exit code; 128 + signal for one that a signal ended.
    package var exitCode: Int32
    /// All of its standard output.
    package var output: String
    /// All of its standard error.
    package var errors: String
}

/// Why waiting for a child process ended without what was waited for.
package struct ChildFailure: Error, CustomStringConvertible {
    package var description: String

    /// A failure with its reason.
    package init(description: String) { self.description = description }
}

/// A running program of which a test sees the output while it comes.
package final class ChildProcess: @unchecked Sendable {
    private let process = Process()
    private let output = Collected()
    private let errors = Collected()
    /// The longest that anything is waited for; far beyond what it takes, so that only a hang reaches it.
    private static let patience: TimeInterval = 60

    /// Starts a program. `environment` is added to this process's own.
    package init(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil
    ) throws {
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        if let folder { process.currentDirectoryURL = folder }
        process.standardInput = FileHandle.nullDevice
        output.attach(to: process, \.standardOutput)
        errors.attach(to: process, \.standardError)
        try process.run()
    }

    /// The process id.
    package var id: Int32 { process.processIdentifier }
    /// True while it has not ended.
    package var isRunning: Bool { process.isRunning }
    /// Standard error so far.
    package var errorText: String { errors.text }
    /// Standard output so far.
    package var outputText: String { output.text }

    /// Waits until standard error contains `text`. Throws when the process ends first or the patience does.
    package func waitForError(containing text: String) throws {
        try wait(for: "\"\(text)\" on standard error") { errors.text.contains(text) }
    }

    /// Waits until `condition` holds. Throws when the process ends first or the patience does.
    package func wait(for what: String, _ condition: () throws -> Bool) throws {
        let end = Date(timeIntervalSinceNow: Self.patience)
        while try !condition() {
            if !process.isRunning {
                process.waitUntilExit()
                if try condition() { return }
                throw ChildFailure(description: "the process ended before \(what): \(errors.text)")
            }
            if Date() > end { throw ChildFailure(description: "no \(what) within \(Self.patience) s: \(errors.text)") }
            usleep(5000)
        }
    }

    /// Ends the process as a power switch would, and waits until it is gone.
    package func kill() {
        Foundation.kill(id, SIGKILL)
        process.waitUntilExit()
    }

    /// Sends a signal.
    package func send(_ signal: Int32) { Foundation.kill(id, signal) }

    /// Waits for the end. Throws (and kills it) when the patience ends first.
    package func finish() throws -> ChildResult {
        let end = Date(timeIntervalSinceNow: Self.patience)
        while process.isRunning {
            if Date() > end {
                kill()
                throw ChildFailure(description: "still running after \(Self.patience) s: \(errors.text)")
            }
            usleep(5000)
        }
        process.waitUntilExit()
        output.waitForEnd()
        errors.waitForEnd()
        let signaled = process.terminationReason == .uncaughtSignal
        return ChildResult(
            exitCode: process.terminationStatus + (signaled ? 128 : 0), output: output.text, errors: errors.text)
    }

    deinit { if process.isRunning { Foundation.kill(id, SIGKILL) } }
}

/// Runs a program to its end.
package func runProgram(
    _ program: String, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil
) throws -> ChildResult {
    try ChildProcess(program, arguments, environment: environment, folder: folder).finish()
}

/// The text that came through a pipe, gathered by a thread of its own.
private final class Collected: Sendable {
    private let data = Mutex(Data())
    private let hasEnded = Atomic(false)

    var text: String { data.withLock { String(decoding: $0, as: UTF8.self) } }

    func attach(to process: Process, _ stream: ReferenceWritableKeyPath<Process, Any?>) {
        let pipe = Pipe()
        process[keyPath: stream] = pipe
        Thread.detachNewThread { [self] in
            // Not FileHandle.read(upToCount:), which waits until it has that many bytes.
            var part = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = read(pipe.fileHandleForReading.fileDescriptor, &part, part.count)
                if count <= 0 { break }
                data.withLock { $0.append(contentsOf: part[..<count]) }
            }
            hasEnded.store(true, ordering: .releasing)
        }
    }

    func waitForEnd() {
        let end = Date(timeIntervalSinceNow: 10)
        while !hasEnded.load(ordering: .acquiring), Date() < end { usleep(1000) }
    }
}

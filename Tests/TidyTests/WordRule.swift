import Foundation

/// A word that is not used, and what is used instead.
struct WordRule: Sendable {
    /// What of a file is looked at.
    enum Part: Sendable {
        case code
        case comments
    }

    var word: String
    var remedy: String
    var part = Part.code
    /// Paths or beginnings of paths that the rule is for.
    var scope = ["Sources/", "Connectors/", "Tests/"]
    /// Paths or beginnings of paths that may use it, each with the reason beside it.
    var allowed: [String] = []

    static let all =
        [
            WordRule(word: "try!", remedy: "throw, or handle the error"),
            WordRule(word: "as!", remedy: "use as? and handle nil, or make the type known"),
            WordRule(
                word: "fatalError(", remedy: "throw a failure: nothing traps on input",
                allowed: [
                    "Sources/ByteKit/OutputBuffer.swift",  // no memory left
                    "Sources/ConnectorKit/BlockingThread.swift",  // no thread to be had
                ]),
            WordRule(word: "preconditionFailure(", remedy: "throw a failure: nothing traps on input"),
            WordRule(
                word: "precondition(", remedy: "throw a failure: nothing traps on input",
                allowed: [
                    "Sources/ByteKit/",  // bounds of memory: better dead than wrong
                    "Tests/Fuzz/",  // a trap is how a fuzz target says that it found something
                ]),
            WordRule(
                word: "print(", remedy: "return it, or log it",
                allowed: ["Sources/Millrace/"]),  // speaks to the user
            WordRule(word: "NSLock", remedy: "use Mutex of Synchronization"),
            WordRule(
                word: "JSONEncoder", remedy: "write with OutputBuffer or JSONText: key order and number text must hold",
                allowed: ["Sources/EventLog/"]),  // small private records, never events
            WordRule(
                word: "EventEncoder(",
                remedy: "use ClearedEncoder, which takes only what somebody is cleared for",
                allowed: [
                    "Sources/Sensitivity/",  // where clearances are
                    "Tests/EventFormatTests/", "Tests/PostgresSourceTests/", "Tests/Fuzz/",  // the format itself
                ]),
            WordRule(word: "TODO", remedy: "do it, or write down the limit where users read it", part: .comments),
            WordRule(word: "FIXME", remedy: "fix it", part: .comments),
            WordRule(word: "XXX", remedy: "say what is meant", part: .comments),
        ]
        + ["sleep(", "usleep(", "nanosleep("].map { word in
            WordRule(
                word: word, remedy: "wait for progress, never for time: use the poll with a generous limit",
                scope: ["Tests/"],
                allowed: [
                    "Tests/ProgramTesting/ChildProcess.swift",  // the poll itself, for programs
                    "Tests/PostgresSourceTests/TestDatabase.swift",  // the poll itself, for queries
                    "Tests/ConnectorKitTests/BlockingThreadTests.swift",  // the poll itself; a call that blocks
                    "Tests/NATSSinkTests/Poll.swift",  // the poll itself, for streams
                    "Tests/PipelineTests/Workplace.swift",  // the poll itself, for pipelines
                    "Tests/PipelineTests/CaptureTests.swift",  // a slow sink and a slow source
                    "Tests/PipelineTests/PipelineTests.swift",  // counts how often an idle pipeline wakes up
                    "Tests/EventLogTests/CrashTests.swift",  // the moment of the kill is what is tested
                ])
        }

    func violations(_ file: RepositoryFile, _ text: SwiftText) -> [Violation] {
        guard scope.contains(where: file.path.hasPrefix), !allowed.contains(where: file.path.hasPrefix) else {
            return []
        }
        let bytes = part == .code ? text.code : text.comments
        return SwiftText.occurrences(of: word, in: bytes).map { offset in
            Violation(path: file.path, line: text.line(of: offset), remedy: "\(word) is not used here: \(remedy)")
        }
    }
}

/// Names that say nothing: a type or file is named after what it is.
enum EmptyNameRule {
    static let words = ["Utils", "Common", "Helpers", "Manager"]
    private static let keywords = ["struct", "class", "enum", "actor", "protocol", "typealias"]

    static func violations(_ file: RepositoryFile, _ text: SwiftText) -> [Violation] {
        var violations: [Violation] = []
        for word in words where file.name.contains(word) {
            let remedy = "\(word) in a file's name says nothing: name it after the type or aspect in it"
            violations.append(Violation(path: file.path, line: 1, remedy: remedy))
        }
        for keyword in keywords {
            for offset in SwiftText.occurrences(of: keyword, in: text.code) {
                let rest = text.code[(offset + keyword.utf8.count)...].drop { $0 == 0x20 }
                let name = String(decoding: rest.prefix(while: SwiftText.isWordByte), as: UTF8.self)
                guard let word = words.first(where: name.contains) else { continue }
                let remedy = "\(name): \(word) says nothing, name the type after what it is"
                violations.append(Violation(path: file.path, line: text.line(of: offset), remedy: remedy))
            }
        }
        return violations
    }
}

import ConnectorKit
import Foundation
import Testing

/// A child that halts in the wrong place would wait for ever, even after its parent is gone: the alarm ends it.
private let childSecondsMax: UInt32 = 20

/// The variable is read once in a process, so each case is a child process. In it a thread reads standard error and
/// ends the child with a code of its own as soon as the halt is reported; coming back from the point ends it with
/// another.
@Suite(.timeLimit(.minutes(2))) struct HaltPointTests {
    private static let haltedCode: Int32 = 42
    private static let returnedCode: Int32 = 43

    /// Ends this process with ``haltedCode`` when `line` is written to standard error.
    private static func watchStandardError(for line: String) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0, dup2(ends[1], 2) == 2 else { exit(1) }
        let (input, expected) = (ends[0], Array(line.utf8))
        startThread(name: "watch") {
            var got: [UInt8] = []
            var byte: UInt8 = 0
            while read(input, &byte, 1) == 1 {
                got.append(byte)
                if got.suffix(expected.count) == expected[...] { _exit(haltedCode) }
            }
        }
    }

    @Test func theNamedPointStopsTheProcessAndSaysSo() async {
        await #expect(processExitsWith: .exitCode(42)) {
            alarm(childSecondsMax)
            setenv("MILLRACE_HALT_AT", "log.appended", 1)
            Self.watchStandardError(for: "halted at log.appended\n")
            HaltPoint("log.other").reached()
            HaltPoint("log.appended").reached()
            _exit(Self.returnedCode)
        }
    }

    @Test func aCountStopsAtThatVisit() async {
        await #expect(processExitsWith: .exitCode(42)) {
            alarm(childSecondsMax)
            setenv("MILLRACE_HALT_AT", "log.appended:3", 1)
            let point = HaltPoint("log.appended")
            guard !point.isNext else { _exit(1) }
            point.reached()
            guard !point.isNext else { _exit(2) }
            point.reached()
            guard point.isNext, !HaltPoint("log.other").isNext else { _exit(3) }
            Self.watchStandardError(for: "halted at log.appended\n")
            point.reached()
            _exit(Self.returnedCode)
        }
    }

    @Test func withoutTheVariableNothingStops() async {
        await #expect(processExitsWith: .exitCode(43)) {
            alarm(childSecondsMax)
            unsetenv("MILLRACE_HALT_AT")
            let point = HaltPoint("log.appended")
            for _ in 0..<5 {
                guard !point.isNext else { _exit(1) }
                point.reached()
            }
            _exit(Self.returnedCode)
        }
    }
}

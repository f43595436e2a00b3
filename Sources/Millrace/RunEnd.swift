/// The end of a command that is no error of its own but has an exit code, such as a signal.
struct RunEnd: Error {
    /// The exit code.
    var exitCode: Int32

    /// The end by a signal.
    static func signal(_ number: Int32) -> RunEnd { RunEnd(exitCode: 128 + number) }
}

import Foundation

/// Runs `body` on a thread with the smallest stack that threads get by default on Linux (2 MiB, where `ulimit -s` is
/// unlimited), in a build whose frames are larger than those of a release.
func onSmallStack<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread { continuation.resume(with: Result { try body() }) }
        thread.stackSize = 2 << 20
        thread.start()
    }
}

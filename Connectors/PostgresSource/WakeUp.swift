private import Glibc

/// Wakes a thread that sleeps in poll(2): a pipe that holds a byte when there is something to look at.
final class WakeUp: Sendable {
    /// Readable after ``wake()`` until ``clear()``.
    let descriptor: Int32
    private let writing: Int32

    /// Nil when the process has no descriptors left.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (descriptor, writing) = (ends[0], ends[1])
    }

    deinit {
        Glibc.close(descriptor)
        Glibc.close(writing)
    }

    /// Makes the descriptor readable. Callable from any thread; a full pipe wakes as well.
    func wake() {
        var byte: UInt8 = 1
        _ = unsafe write(writing, &byte, 1)
    }

    /// Makes it unreadable again.
    func clear() {
        var bytes: (UInt64, UInt64) = (0, 0)
        while unsafe read(descriptor, &bytes, 16) == 16 {}
    }
}

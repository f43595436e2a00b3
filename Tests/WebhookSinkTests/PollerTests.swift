import Glibc
import Testing

@testable import WebhookSink

struct PollerTests {
    /// As when the system watches as much for this user as it may: a request waited for its time-out.
    @Test func aConnectionThatTheSystemDoesNotWatchIsNoticed() throws {
        let poller = try Poller()
        let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
        try #require(file >= 0)
        defer { close(file) }
        #expect(!poller.watch(file, token: 1, isNew: true, isSending: false))
        #expect(errno == EPERM, "epoll_ctl(2) does not watch files")
        let ends = try #require(Self.pipe())
        defer { for end in [ends.reading, ends.writing] { close(end) } }
        #expect(poller.watch(ends.reading, token: 2, isNew: true, isSending: false))
        #expect(write(ends.writing, "a", 1) == 1)
        #expect(poller.wait(milliseconds: 60_000) == 1 && poller.ready(0)?.token == 2)
    }

    private static func pipe() -> (reading: Int32, writing: Int32)? {
        var ends: [Int32] = [-1, -1]
        return Glibc.pipe(&ends) == 0 ? (ends[0], ends[1]) : nil
    }
}

private import CLinux
internal import ConnectorKit
private import Glibc

/// Waits for many connections at once, and for somebody who calls ``Waker/wake()``. See epoll(7) and eventfd(2).
@safe final class Poller {
    /// What a connection is ready for.
    struct Ready {
        /// What it was watched with.
        var token: UInt64
        /// True when it may be written to.
        var canSend: Bool
        /// True when it may be read from, or has ended.
        var canReceive: Bool
    }

    /// The descriptor, which is itself readable when a connection is ready.
    let descriptor: Int32
    /// Ends a wait, from any thread.
    let waker: Waker

    private let events: UnsafeMutableBufferPointer<epoll_event>
    static let eventsMax = 256

    init() throws(ConnectorFailure) {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw WebhookFailure.client("wait for connections") }
        do throws(ConnectorFailure) {
            waker = try Waker()
        } catch {
            close(descriptor)
            throw error
        }
        unsafe events = .allocate(capacity: Self.eventsMax)
        unsafe events.initialize(repeating: epoll_event())
        // Told once for each call: nothing needs to be read.
        guard control(EPOLL_CTL_ADD, waker.descriptor, .max, EPOLLIN.rawValue | EPOLLET.rawValue) else {
            throw WebhookFailure.client("wait for connections")
        }
    }

    deinit {
        close(descriptor)
        unsafe events.deallocate()
    }

    /// Watches a connection, for what comes or, with `isSending`, for room to send too. It is forgotten when it is
    /// closed. `token` is any number but the greatest. False when the system does not watch it, of which `errno` says
    /// why: nothing would ever be told of it.
    func watch(_ socket: Int32, token: UInt64, isNew: Bool, isSending: Bool) -> Bool {
        let wanted = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | (isSending ? EPOLLOUT.rawValue : 0)
        return control(isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, token, wanted)
    }

    private func control(_ what: Int32, _ socket: Int32, _ token: UInt64, _ wanted: UInt32) -> Bool {
        var event = unsafe epoll_event()
        unsafe event.events = wanted
        unsafe event.data.u64 = token
        return unsafe epoll_ctl(descriptor, what, socket, &event) == 0
    }

    /// Waits until something is ready, somebody wakes it or so many milliseconds are over. Gives how many things there
    /// are for ``ready(_:)``.
    func wait(milliseconds: Int32) -> Int {
        max(unsafe Int(epoll_wait(descriptor, events.baseAddress, Int32(Self.eventsMax), milliseconds)), 0)
    }

    /// A connection that was ready at the last wait, by its place below what that gave; nil for a call of
    /// ``Waker/wake()``.
    func ready(_ place: Int) -> Ready? {
        guard unsafe events.indices.contains(place) else { return nil }
        let (token, flags) = unsafe (events[place].data.u64, events[place].events)
        if token == .max { return nil }
        let receives = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue
        return Ready(token: token, canSend: flags & EPOLLOUT.rawValue != 0, canReceive: flags & receives != 0)
    }
}

/// Ends a wait of a ``Poller``. It may outlive it.
final class Waker: Sendable {
    fileprivate let descriptor: Int32

    fileprivate init() throws(ConnectorFailure) {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard descriptor >= 0 else { throw WebhookFailure.client("wait for connections") }
    }

    deinit { close(descriptor) }

    /// Ends the wait that is under way, or else the next one.
    func wake() { eventfd_write(descriptor, 1) }
}

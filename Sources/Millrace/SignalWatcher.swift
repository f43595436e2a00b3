import ConnectorKit
import Glibc
import Synchronization

/// Turns SIGINT and SIGTERM into a request: the first asks to end cleanly, the second ends the process at once. SIGHUP
/// asks to read the configuration again.
///
/// The handler only writes the signal's number into a pipe (signal-safety(7)); a thread reads it.
final class SignalWatcher: Sendable {
    private let first = Atomic<Int32>(0)

    /// The signal that asked to end; nil when none came.
    var received: Int32? {
        let number = first.load(ordering: .acquiring)
        return number == 0 ? nil : number
    }

    /// Has a SIGHUP do nothing before ``start(onReload:onRequest:)``: it asks for what is about to be done anyway.
    static func ignoreReloads() { signal(SIGHUP, SIG_IGN) }

    /// Begins to watch. `onRequest` runs once, on a thread of its own, at the first signal, `onReload` at each SIGHUP;
    /// without it, SIGHUP is left as it is. Call once in a process.
    func start(onReload: (@Sendable () -> Void)? = nil, onRequest: @escaping @Sendable () -> Void) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return }
        signalPipe.store(ends[1], ordering: .releasing)
        for number in [SIGINT, SIGTERM] { signal(number, forward) }
        if onReload != nil { signal(SIGHUP, forward) }
        let reading = ends[0]
        startThread(name: "signals") { [self] in
            while true {
                var number: UInt8 = 0
                guard read(reading, &number, 1) == 1 else { continue }
                if Int32(number) == SIGHUP {
                    onReload?()
                    continue
                }
                if first.compareExchange(expected: 0, desired: Int32(number), ordering: .acquiringAndReleasing)
                    .exchanged
                {
                    onRequest()
                } else {
                    _exit(128 + Int32(number))
                }
            }
        }
    }
}

private let signalPipe = Atomic<Int32>(-1)

private func forward(_ number: Int32) {
    var byte = UInt8(truncatingIfNeeded: number)
    _ = write(signalPipe.load(ordering: .acquiring), &byte, 1)
}

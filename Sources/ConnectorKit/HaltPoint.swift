private import Glibc
private import Synchronization

/// A named place in the program's life at which a test can stop it dead, to kill it exactly there.
///
/// `MILLRACE_HALT_AT=log.appended:3` makes the process report `halted at log.appended` on standard error when it gets
/// there for the third time, and wait for ever. Without that variable a point costs one comparison; points are passed
/// per batch or rarer, never per row.
public struct HaltPoint: Sendable {
    /// The point's name, `part.what`.
    public let name: StaticString

    /// A point with a name.
    public init(_ name: StaticString) { self.name = name }

    /// Says that the program got here. Does not return when this is the place to stop at.
    public func reached() {
        guard let armed = Self.armed, isArmed else { return }
        if armed.countdown.subtract(1, ordering: .relaxed).newValue == 0 { halt() }
    }

    /// True when the next call of ``reached()`` would stop the process: for points that first do half of something.
    public var isNext: Bool {
        guard let armed = Self.armed, isArmed else { return false }
        return armed.countdown.load(ordering: .relaxed) == 1
    }

    private var isArmed: Bool { Self.armed?.name == name.description }

    private func halt() -> Never {
        let line = Array("halted at \(name)\n".utf8)
        unsafe line.withUnsafeBytes { bytes in _ = unsafe write(2, bytes.baseAddress, bytes.count) }
        while true { pause() }
    }

    private final class Armed: Sendable {
        let name: String
        let countdown: Atomic<Int>
        init(name: String, count: Int) {
            self.name = name
            countdown = Atomic(count)
        }
    }

    private static let armed: Armed? = {
        guard let value = unsafe getenv("MILLRACE_HALT_AT") else { return nil }
        let parts = unsafe String(cString: value).split(separator: ":", maxSplits: 1)
        guard let name = parts.first else { return nil }
        return Armed(name: String(name), count: parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
    }()
}

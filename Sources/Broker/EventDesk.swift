internal import ChangeModel
package import ConnectorKit
package import EventLog
private import Synchronization

/// Where readers of the log come to: it knows where the log begins and ends, and opens streams.
package final class EventDesk: Sendable {
    /// The bounds of all streams together.
    package struct Limits: Sendable {
        /// Streams at a time.
        package var streamCountMax = 64
        /// How long a stream may be silent.
        package var heartbeat = Duration.seconds(15)

        /// The usual ones.
        package init() {}
    }

    /// What a reader asks for.
    package struct Request: Sendable {
        /// What is seen.
        package var view = EventView()
        /// How it is written.
        package var form = EventStream.Form.lines(isPlaced: false)
        /// Where it begins, unless it goes on behind `last`.
        package var from = StartPosition.earliest
        /// The last change that the reader has.
        package var last: LogPlace?
        /// True to wait for more.
        package var follows = false
        /// The most events.
        package var countMax: Int?

        /// A request for everything that is there.
        package init() {}
    }

    let origin: EventOrigin
    private let limits: Limits
    private let feed: @Sendable () -> LogFeed?
    private let makeReader: @Sendable () throws(ConnectorFailure) -> LogReader
    private let streams: Permits
    private let room: StreamRoom
    /// Made when the first reader comes.
    private let places = Mutex<LogPlaces?>(nil)

    /// A desk for the log that `makeReader` reads. What is in it may be seen as far as the `feed` tells, once there is
    /// one.
    package convenience init(
        _ origin: EventOrigin, limits: Limits, feed: @escaping @Sendable () -> LogFeed?,
        makeReader: @escaping @Sendable () throws(ConnectorFailure) -> LogReader
    ) {
        self.init(origin, limits: limits, room: StreamRoom(), feed: feed, makeReader: makeReader)
    }

    init(
        _ origin: EventOrigin, limits: Limits, room: StreamRoom, feed: @escaping @Sendable () -> LogFeed?,
        makeReader: @escaping @Sendable () throws(ConnectorFailure) -> LogReader
    ) {
        self.room = room
        self.origin = origin
        self.limits = limits
        self.feed = feed
        self.makeReader = makeReader
        streams = Permits(limits.streamCountMax)
    }

    /// The oldest offset that can be read, and the one behind the newest that may be seen.
    package func bounds() async throws(ConnectorFailure) -> Range<UInt64> {
        let (feed, places) = try open()
        let first = try await places.firstOffset()
        return first..<max(first, feed.nextOffset)
    }

    /// Opens a stream. ``close(_:)`` it. Throws what the reader must know before it gets anything.
    package func stream(_ request: Request) async throws(ConnectorFailure) -> EventStream {
        let (feed, places) = try open()
        guard streams.take() else { throw EventFailure.tooManyStreams(limits.streamCountMax) }
        do throws(ConnectorFailure) {
            let first = try await places.firstOffset()
            let end = max(first, feed.nextOffset)
            var plan = EventStream.Plan(
                view: request.view, form: request.form, start: first, end: request.follows ? nil : end,
                countMax: request.countMax, heartbeat: limits.heartbeat)
            if let last = request.last {
                plan.start = last.offset
                plan.last = last
                if last.offset >= first, last.offset < end {
                    // Told at once and not inside of the stream: whoever comes back by itself would do so for ever.
                    guard try await places.identity(at: last.offset) == last.identity else {
                        throw EventFailure.otherLog(last)
                    }
                }
                // What was the newest event that is gone by now is not needed: the next one is there.
                if last.offset + 1 == first { (plan.start, plan.last) = (first, nil) }
            } else {
                plan.start = min(try await places.offset(at: request.from), .max - 1)
                if case .offset(let offset) = request.from, offset > end {
                    throw EventFailure.notYet(offset, end: end)
                }
            }
            if plan.start < first { throw EventFailure.retainedAway(plan.start, first: first) }
            return try await places.stream(origin, plan, feed, room)
        } catch {
            streams.giveBack()
            throw error
        }
    }

    /// Ends a stream.
    package func close(_ stream: EventStream) {
        streams.giveBack()
        Task { await stream.close() }
    }

    private func open() throws(ConnectorFailure) -> (LogFeed, LogPlaces) {
        guard let feed = feed() else { throw EventFailure.notReady() }
        let found = places.withLock { places in
            let found = places ?? LogPlaces(makeReader)
            places = found
            return found
        }
        return (feed, found)
    }
}

internal import ChangeModel
internal import ConnectorKit
internal import EventLog

/// Finds places in the log and begins to read there, on a thread of its own, since it reads the disk.
actor LogPlaces {
    private let makeReader: @Sendable () throws(ConnectorFailure) -> LogReader
    /// Made with the first call.
    private var reader: LogReader?
    /// Shared by all streams: each has a thread and a connection of its own.
    private var consumers: [LogConsumer] = []
    private var turn = 0
    private let thread = BlockingThread(name: "log-places")

    private static let consumerCount = 2

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(_ makeReader: @escaping @Sendable () throws(ConnectorFailure) -> LogReader) { self.makeReader = makeReader }

    /// The oldest offset that can be read.
    func firstOffset() throws(ConnectorFailure) -> UInt64 { try opened().bounds().lowerBound }

    /// Which change stands at an offset; nil when there is none.
    func identity(at offset: UInt64) throws(ConnectorFailure) -> ChangeIdentity? {
        guard let logged = try opened().read(from: offset) else { return nil }
        return logged.batch.identity(at: Int(offset - logged.firstOffset))
    }

    /// The offset that a start stands for now.
    func offset(at start: StartPosition) throws(ConnectorFailure) -> UInt64 { try opened().offset(at: start) }

    /// Begins a stream: what it has to know of the source and the contracts is read here.
    func stream(
        _ origin: EventOrigin, _ plan: EventStream.Plan, _ feed: LogFeed, _ room: StreamRoom
    ) throws(ConnectorFailure) -> EventStream {
        while consumers.count < Self.consumerCount {
            consumers.append(LogConsumer(feed: feed, reader: try makeReader()))
        }
        turn = (turn + 1) % consumers.count
        return try EventStream(origin, plan, consumers[turn], room)
    }

    private func opened() throws(ConnectorFailure) -> LogReader {
        if let reader { return reader }
        let made = try makeReader()
        reader = made
        return made
    }
}

internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
internal import Synchronization
private import Glibc

/// A thread that reads chunks over a connection of its own while the stream flows.
///
/// Its transactions are as short as a chunk, so it holds back neither vacuum nor anybody's locks. What it cannot do now
/// it tries again; only what a person must mend ends the source.
@safe final class SnapshotWorker: @unchecked Sendable {
    static let beforeLow = HaltPoint("snapshot.before_low")
    static let chunkRead = HaltPoint("snapshot.chunk_read")
    static let beforeHigh = HaltPoint("snapshot.before_high")

    let settings: PostgresSettings
    /// The timeline of the server that is streamed from.
    let timeline: UInt32
    let coordinator: SnapshotCoordinator
    let wakeUp: WakeUp
    private let run: String
    private let fail: @Sendable (ConnectorFailure) -> Void
    private var held: PostgresConnection?
    /// Writes watermarks while ``held`` is in the middle of a transaction.
    private var second: PostgresConnection?
    /// Reads rows on a standby, if `snapshot_url` is one.
    private var beside: PostgresConnection?
    /// True when rows of tables with a key are read on a standby; known once ``held`` is there.
    private(set) var readsBeside = false
    /// True after a word about a standby that lags, until it has caught up.
    var isLagSaid = false
    private var epoch = 0
    private var horizon: UInt64 = 0
    private var places: [UInt32: TablePlace] = [:]
    private var backoff = Duration.zero
    /// The tables that were found locked, which is said once.
    private var lockedSaid: Set<UInt32> = []

    struct TablePlace {
        var schema: String
        var name: String
        var isPartitioned: Bool
        var source: String { SnapshotQuery.source(schema: schema, table: name, isPartitioned: isPartitioned) }
    }

    /// Why a chunk was given up.
    enum Obstacle: Error {
        case server(ServerError)
        case failure(ConnectorFailure)
        /// The table is not there any more.
        case gone
        /// Something changed meanwhile; it is read again.
        case again
        /// The standby that is read has not replayed what it must show.
        case lagging(behind: String)
        /// The source is closed.
        case closing
    }

    init(
        settings: PostgresSettings, timeline: UInt32, run: String, coordinator: SnapshotCoordinator, wakeUp: WakeUp,
        fail: @escaping @Sendable (ConnectorFailure) -> Void
    ) {
        self.settings = settings
        self.timeline = timeline
        self.run = run
        self.coordinator = coordinator
        self.wakeUp = wakeUp
        self.fail = fail
    }

    /// Works until the coordinator is closed, then calls `ended`.
    func start(_ ended: @escaping @Sendable () -> Void) {
        startThread(name: "pg-snapshot") { [self] in
            while !coordinator.isClosing {
                if let assignment = coordinator.next() { carryOut(assignment) } else { idle() }
            }
            (held, second, beside) = (nil, nil, nil)
            ended()
        }
    }

    /// Sleeps until there may be work. Without any, no connection is kept.
    private func idle() {
        let isTracking = coordinator.state.withLock { $0.isTracking }
        if !isTracking { (held, second, beside) = (nil, nil, nil) }
        pause(.milliseconds(isTracking ? 50 : 60_000))
    }

    /// Sleeps, unless it is woken.
    func pause(_ duration: Duration) {
        var entry = pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&entry, 1, Int32(clamping: duration.milliseconds))
        if entry.revents != 0 { wakeUp.clear() }
    }

    private func carryOut(_ assignment: SnapshotCoordinator.Assignment) {
        do throws(Obstacle) {
            switch assignment {
            case .plan(let table, _, let turn): coordinator.planned(table, turn: turn, try plan(table))
            case .read(let chunk, let name, let part, let keys, let rowLimit):
                try lookWhatHoldsUp(name)
                try read(chunk, part, keys, rowLimit)
            }
            backoff = .zero
        } catch {
            let (table, name) =
                switch assignment {
                case .plan(let oid, let label, _): (oid, label)
                case .read(let chunk, let label, _, _, _): (chunk.table, label)
                }
            giveUp(assignment, table, name, error)
        }
    }

    private func giveUp(
        _ assignment: SnapshotCoordinator.Assignment, _ table: UInt32, _ name: String, _ obstacle: Obstacle
    ) {
        if let connection = held, !connection.isBroken {
            do throws(ServerError) {
                _ = try connection.execute("ROLLBACK") { [coordinator] _ in !coordinator.isClosing }
            } catch {
                held = nil
            }
        } else {
            held = nil
        }
        if second?.isBroken ?? false { second = nil }
        beside = nil
        places[table] = nil
        var pause: Duration?
        var sleeps = false
        switch obstacle {
        case .gone:
            coordinator.notice("snapshot of \(name) ends: the table is gone, or not published any more")
            coordinator.gone(table)
        case .failure(let failure): fail(failure)
        case .server(let error) where error.sqlState == "55P03":
            pause = Self.lockedPause
            let failure = whatLocks(table, name)
            coordinator.meets(failure)
            if lockedSaid.insert(table).inserted {
                coordinator.notice("\(failure.message); \(failure.hint ?? "")")
            }
        case .server(let error):
            pause = weigh(error, table, name)
            sleeps = true
        case .lagging(let end):
            (pause, sleeps) = (Self.lockedPause, true)
            let failure = PostgresFailure.snapshotWaits(name, forReplayOf: end)
            coordinator.meets(failure)
            if !isLagSaid { coordinator.notice(failure.message) }
            isLagSaid = true
        case .again, .closing: break
        }
        switch assignment {
        case .plan(let oid, _, let turn): coordinator.unplanned(oid, turn: turn)
        case .read(let chunk, _, _, _, _): coordinator.release(chunk, mayRetryAfter: pause)
        }
        if sleeps, let pause { self.pause(pause) }
    }

    /// A table that somebody holds is tried again after this time; meanwhile others are read.
    private static let lockedPause = Duration.seconds(2)

    /// How long to wait before anything is tried again. A failure that waiting does not mend puts its table off, or
    /// ends the source.
    private func weigh(_ error: ServerError, _ table: UInt32, _ name: String) -> Duration? {
        var failure = PostgresFailure.because(of: error, .snapshot(of: name))
        if failure.code == "postgres.not_readable" { failure = whatIsLacking(table, failure) }
        let mayPass = [
            "postgres.locked", "postgres.too_many_connections", "postgres.server_starting",
            "postgres.recovery_conflict",
        ]
        guard error.isConnectionLost || mayPass.contains(failure.code) else {
            if failure.remedy == .stop || backoff >= .seconds(5) {
                backoff = .zero
                if !coordinator.postpone(table, name, because: failure) { fail(failure) }
                return nil
            }
            backoff = max(.milliseconds(200), backoff * 2)
            return backoff
        }
        coordinator.meets(failure)
        let isNews = backoff == .zero && !coordinator.isClosing
        if isNews { coordinator.notice("snapshot of \(name) waits: \(failure.message)") }
        backoff = min(.seconds(30), max(.milliseconds(200), backoff * 2))
        return backoff
    }
}

// MARK: - Connections

extension SnapshotWorker {
    /// The connection for reading.
    func connection() throws(Obstacle) -> PostgresConnection {
        if let held, !held.isBroken { return held }
        let fresh = try connect()
        held = fresh
        return fresh
    }

    /// A connection beside the one that reads.
    func secondConnection() throws(Obstacle) -> PostgresConnection {
        if let second, !second.isBroken { return second }
        let fresh = try connect()
        second = fresh
        return fresh
    }

    /// The connection to the standby that rows are read on.
    func standbyConnection() throws(Obstacle) -> PostgresConnection {
        if let beside, !beside.isBroken { return beside }
        let fresh = try open(settings.snapshotURL ?? settings.url)
        try checkStandby(fresh)
        beside = fresh
        return fresh
    }

    /// Gives a connection up in the middle of a result.
    func drop(_ connection: PostgresConnection) {
        if connection === held { held = nil } else if connection === beside { beside = nil }
    }

    /// Where a connection leads to.
    func url(of connection: PostgresConnection) -> String {
        readsBeside && connection !== beside ? settings.url : settings.snapshotURL ?? settings.url
    }

    /// Connects to where watermarks are written: what `snapshot_url` names, unless that is a standby.
    private func connect() throws(Obstacle) -> PostgresConnection {
        guard let url = settings.snapshotURL else { return try open(settings.url) }
        let named = try open(url)
        readsBeside =
            try execute("SELECT pg_catalog.pg_is_in_recovery() AS it_is", on: named).first?.flag("it_is") ?? false
        return readsBeside ? try open(settings.url) : named
    }

    private func open(_ url: String) throws(Obstacle) -> PostgresConnection {
        do throws(ServerError) {
            let connection = try PostgresConnection(
                opening: url, for: .snapshot, applicationName: settings.applicationName)
            if connection.parameter("server_encoding") == "SQL_ASCII" {
                _ = try connection.execute("SET client_encoding TO 'SQL_ASCII'")
            }
            _ = try connection.execute(TableShape.preparation(connection))
            return connection
        } catch {
            throw .server(error)
        }
    }

    /// Runs SQL; ends early when the source is closed.
    @discardableResult
    func execute(
        _ sql: String, _ arguments: [String] = [], on connection: PostgresConnection
    ) throws(Obstacle) -> QueryResult {
        do throws(ServerError) {
            return try connection.execute(sql, arguments) { [coordinator] _ in !coordinator.isClosing }
        } catch {
            throw .server(error)
        }
    }

    /// The SQL that writes a watermark by a transaction of its own. Only the high one must be on disk at once, to be
    /// streamed; it takes the low one with it.
    func mark(_ number: UInt64, _ bound: SnapshotMark.Bound, isWaitedFor: Bool = false) -> String {
        let text = SQLText.literal(SnapshotMark(run: run, number: number, bound: bound).text)
        let isOnDisk = bound == .high || isWaitedFor
        return "BEGIN; SET LOCAL synchronous_commit TO \(isOnDisk ? "local" : "off"); "
            + "SELECT pg_catalog.pg_logical_emit_message(true, '\(SnapshotMark.prefix)', \(text)); COMMIT; "
    }

    /// Makes the chunk say what the record of streamed transactions may not know.
    func date(_ chunk: SnapshotChunk) throws(Obstacle) {
        let current = coordinator.state.withLock { $0.epoch }
        if current != epoch {
            let result = try execute(
                "SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text AS id", on: try connection())
            guard let id = result.first.flatMap({ UInt64($0.text("id")) }) else { throw .again }
            (epoch, horizon) = (current, id)
        }
        (chunk.epoch, chunk.horizon) = (epoch, horizon)
    }

    /// Where the table is now.
    func place(_ table: UInt32) throws(Obstacle) -> TablePlace {
        if let known = places[table] { return known }
        let result = try execute(
            "SELECT n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c "
                + "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::pg_catalog.oid",
            [String(table)], on: try connection())
        guard let row = result.first else { throw .gone }
        let place = TablePlace(
            schema: row.text("nspname"), name: row.text("relname"), isPartitioned: row.text("relkind") == "p")
        places[table] = place
        return place
    }

    /// Begins a transaction that holds the table as it is, before it takes its snapshot: TRUNCATE and rewrites empty a
    /// table for older snapshots too. What is to be done `first` is sent along, since each word to the server and back
    /// takes its time.
    func begin(
        _ table: UInt32, after first: String = "", on standby: PostgresConnection? = nil
    ) throws(Obstacle) -> TableShape {
        let place = try place(table)
        let connection = if let standby { standby } else { try self.connection() }
        let shape: TableShape?
        do throws(Obstacle) {
            let rows = try execute(
                first + "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                    + "LOCK TABLE \(place.source) IN ACCESS SHARE MODE; "
                    + TableShape.request(table, settings, connection), on: connection)
            shape = try Self.shape(rows, table, settings.choices)
        } catch .server(let error) where ["42P01", "3F000"].contains(error.sqlState) {
            throw .again
        }
        guard let shape else { throw standby == nil ? .gone : .again }
        // Another table may have taken the name meanwhile, and would be the one that is locked.
        guard shape.schema == place.schema, shape.name == place.name else { throw .again }
        return shape
    }

    private static func shape(
        _ rows: QueryResult, _ table: UInt32, _ choices: TableChoices
    ) throws(Obstacle) -> TableShape? {
        do throws(ServerError) { return try TableShape(rows.all, table, choices) } catch { throw .server(error) }
    }
}

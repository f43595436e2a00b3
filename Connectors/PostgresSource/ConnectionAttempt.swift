internal import CLibPQ
private import ConnectorKit
private import Glibc

/// Connecting to the first host that answers, of those that a URL names.
///
/// It goes step by step, because only so the verbosity can be set before an error, which then has its SQLSTATE; the
/// price is that connect_timeout is ours to keep, for each address of each host, as libpq keeps it when it connects by
/// itself.
@safe struct ConnectionAttempt {
    private let handle: OpaquePointer
    private let timeout: Duration
    /// The addresses that did not answer in time, in words.
    private var silent: [String] = []
    /// The address that is being tried, and until when.
    private var current: Address?
    private var deadline: ContinuousClock.Instant
    /// True when the socket to ``current`` was shut down, so that libpq goes on with the next address.
    private var isShutDown = false

    private struct Address: Equatable {
        var host: String
        var address: String
        var port: String
    }

    private enum Outcome {
        case connected
        case failed(ServerError)
        /// A host took the connection and then said nothing, which libpq cannot be told to pass over.
        case silent(HostList)
    }

    /// A connection to the first host that answers. Throws what the last one said, or that none did.
    static func connect(
        _ url: String, _ purpose: PostgresConnection.Purpose, applicationName: String
    ) throws(ServerError) -> OpaquePointer {
        let parameters = Self.parameters(url, purpose, applicationName)
        var hosts: HostList?
        var silent: [String] = []
        while true {
            var attempt = try ConnectionAttempt(parameters + (hosts?.parameters ?? []), silent)
            let outcome = attempt.run()
            if case .connected = outcome {
                attempt.watchPeer()
                return unsafe attempt.handle
            }
            unsafe PQfinish(attempt.handle)
            switch outcome {
            case .failed(let error): throw error
            case .silent(let rest) where !rest.isEmpty: (hosts, silent) = (rest, attempt.silent)
            default: throw Self.noAnswer(attempt.silent)
            }
        }
    }

    /// Begins to connect. `silent` says which addresses did not answer before.
    private init(_ parameters: [(String, String)], _ silent: [String]) throws(ServerError) {
        let started = unsafe withCStrings(parameters.map(\.0)) { keywords in
            unsafe withCStrings(parameters.map(\.1)) { values in unsafe PQconnectStartParams(keywords, values, 1) }
        }
        guard let handle = unsafe started else { throw ServerError(sqlState: nil, message: "out of memory") }
        _ = unsafe PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        unsafe PQsetNoticeProcessor(handle, { _, _ in }, nil)
        unsafe self.handle = unsafe handle
        timeout = unsafe Self.timeout(of: handle)
        self.silent = silent
        deadline = .now + timeout
    }

    /// What stands before `dbname` is a default that the user's string overrides; what stands after it always holds.
    ///
    /// Only what has no say in a service file or the environment may stand here: those come after all that is given.
    private static func parameters(
        _ url: String, _ purpose: PostgresConnection.Purpose, _ applicationName: String
    ) -> [(String, String)] {
        var parameters = [
            ("fallback_application_name", applicationName), ("dbname", url), ("client_encoding", "UTF8"),
        ]
        if purpose == .replication { parameters.append(("replication", "database")) }
        return parameters
    }

    /// The connect_timeout that holds; ten seconds when nobody set one or it is unlimited.
    private static func timeout(of handle: OpaquePointer) -> Duration {
        let text = unsafe HostList.options(of: handle)["connect_timeout"] ?? ""
        return .seconds(max(2, Int(text).flatMap { $0 > 0 ? $0 : nil } ?? 10))
    }

    /// Makes TCP notice a dead peer within about half a minute, in everything that the user did not set.
    private func watchPeer() {
        let options = unsafe HostList.options(of: handle)
        if options["keepalives"] == "0" { return }
        let defaults: [(String, Int32, Int32)] = [
            ("keepalives_idle", TCP_KEEPIDLE, 10), ("keepalives_interval", TCP_KEEPINTVL, 5),
            ("keepalives_count", TCP_KEEPCNT, 4), ("tcp_user_timeout", TCP_USER_TIMEOUT, 45_000),
        ]
        for (keyword, option, value) in defaults where (options[keyword] ?? "").isEmpty {
            var value = value
            // A Unix socket knows no such options, and needs none.
            _ = unsafe setsockopt(
                PQsocket(handle), Int32(IPPROTO_TCP), option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }
}

extension ConnectionAttempt {
    private mutating func run() -> Outcome {
        var state = unsafe PQstatus(handle) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            if state == PGRES_POLLING_FAILED { return .failed(failure) }
            if Task.isCancelled {
                return .failed(ServerError(sqlState: nil, message: "given up on request", isConnectionLost: true))
            }
            noteAddress()
            let left = ContinuousClock.now.duration(to: deadline)
            if left <= .zero {
                guard passOverAddress() else { return unsafe .silent(HostList(of: handle).without(handle)) }
            }
            let events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT
            // Asked too early, libpq takes a socket for connected, and then waits for it without end.
            let isReady = waitFor(unsafe PQsocket(handle), events, milliseconds: min(250, left.milliseconds + 1))
            if isReady { state = unsafe PQconnectPoll(handle) }
        }
        return .connected
    }

    /// Gives an address its time when libpq begins with it.
    private mutating func noteAddress() {
        let now = Address(
            host: unsafe Self.text(PQhost(handle)), address: unsafe Self.text(PQhostaddr(handle)),
            port: unsafe Self.text(PQport(handle)))
        guard now != current else { return }
        (current, isShutDown, deadline) = (now, false, .now + timeout)
    }

    /// Ends the wait for the current address. While TCP still connects, libpq takes a shut-down socket for a refusal
    /// and goes on with the next address. False when only another attempt without this host helps.
    private mutating func passOverAddress() -> Bool {
        if !isShutDown {
            let place = current.map { "\($0.address.isEmpty ? $0.host : $0.address), port \($0.port)" } ?? "the server"
            silent.append("no answer from \(place) within \(timeout.components.seconds) s")
        }
        guard !isShutDown, unsafe PQstatus(handle) == CONNECTION_STARTED else { return false }
        isShutDown = true
        deadline = .now + .seconds(1)
        shutdown(unsafe PQsocket(handle), Int32(SHUT_RDWR))
        return true
    }

    /// Why no address would do. What libpq says of a socket that was shut down is no help.
    private var failure: ServerError {
        if isShutDown { return Self.noAnswer(silent) }
        var error = ServerError(libpqMessage: unsafe String(cString: PQerrorMessage(handle)))
        if !silent.isEmpty, error.sqlState == nil {
            error.message = (silent + [error.message]).joined(separator: "; ")
        }
        return error
    }

    private static func noAnswer(_ silent: [String]) -> ServerError {
        ServerError(sqlState: nil, message: silent.joined(separator: "; "), isConnectionLost: true)
    }

    /// One of the options that hold for a connection, whether from the URL, a service or the environment.
    static func option(_ keyword: String, of handle: OpaquePointer) -> String? {
        unsafe HostList.options(of: handle)[keyword]
    }

    fileprivate static func text(_ pointer: UnsafePointer<CChar>?) -> String {
        unsafe pointer.map { unsafe String(cString: $0) } ?? ""
    }
}

/// The hosts that a connection string names, as libpq takes them: lists of equal length, separated by commas.
private struct HostList {
    private var hosts: [String]
    private var addresses: [String]
    private var ports: [String]

    var isEmpty: Bool { max(hosts.count, addresses.count) == 0 }

    /// What makes libpq take these hosts instead of those of the URL.
    var parameters: [(String, String)] {
        let lists = [("host", hosts), ("hostaddr", addresses), ("port", ports)]
        return lists.filter { !$0.1.isEmpty }.map { ($0.0, $0.1.joined(separator: ",")) }
    }

    /// All that the connection may try, from the URL, the environment and the service file.
    init(of handle: OpaquePointer) {
        let options = unsafe Self.options(of: handle)
        func list(_ keyword: String) -> [String] {
            guard let text = options[keyword], !text.isEmpty else { return [] }
            return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"))
    }

    /// The list without the host that the connection has come to.
    func without(_ handle: OpaquePointer) -> HostList {
        let host = unsafe ConnectionAttempt.text(PQhost(handle))
        let port = unsafe ConnectionAttempt.text(PQport(handle))
        let count = max(hosts.count, addresses.count)
        let index = (0..<count).first { index in
            let name = [hosts, addresses].compactMap { $0.indices.contains(index) ? $0[index] : nil }
                .first { !$0.isEmpty }
            let number = ports.count == count ? ports[index] : ports.first
            return (name ?? host) == host && (number ?? port) == port
        }
        var rest = self
        guard let index, count > 1 else {
            (rest.hosts, rest.addresses, rest.ports) = ([], [], [])
            return rest
        }
        if hosts.count == count { rest.hosts.remove(at: index) }
        if addresses.count == count { rest.addresses.remove(at: index) }
        if ports.count == count { rest.ports.remove(at: index) }
        return rest
    }

    private static let names: Set = [
        "host", "hostaddr", "port", "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", "passfile",
    ]

    /// The options that hold for a connection, as far as they matter here; none is a secret.
    static func options(of handle: OpaquePointer) -> [String: String] {
        guard let options = unsafe PQconninfo(handle) else { return [:] }
        defer { unsafe PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            let name = unsafe String(cString: keyword)
            if names.contains(name), let value = unsafe option.pointee.val {
                values[name] = unsafe String(cString: value)
            }
            unsafe option += 1
        }
        return values
    }
}

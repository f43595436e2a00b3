package import ConnectorKit

/// What a NATS sink is told in the configuration.
package struct NATSSettings: Sendable, Equatable {
    /// How the sink says who it is.
    enum Authentication: Sendable, Equatable {
        case none
        case user(String, password: String)
        case token(String)
        case key(public: String, seed: String)
        case credentials(path: String)
    }

    /// The files of TLS, by path.
    struct TLSFiles: Sendable, Equatable {
        var authority: String?
        var certificate: String?
        var key: String?
        /// True when one is given, which asks for TLS.
        var isUsed: Bool { authority != nil || certificate != nil }
    }

    /// What a stream that the sink makes is like.
    struct NewStream: Sendable, Equatable {
        var replicas: Int
        var isInMemory: Bool
        var ageMax: Duration?
        var bytesMax: Int?
        var duplicateWindow: Duration
    }

    /// Which servers are tried, in this order.
    var servers: [ServerAddress]
    var authentication: Authentication
    var tls: TLSFiles
    var domain: String?
    package var stream: String
    /// Nil when the stream must be there.
    var newStream: NewStream?
    var subject: SubjectTemplate
    /// True when others publish to the stream too.
    package var isShared: Bool
    /// True when attributes are headers.
    package var isBinary: Bool
    /// True when keys and headers of records are headers: the sink knows, when it knows the records.
    var sendsRecordHeaders = false
    /// How many messages, and how many bytes of them, may be without an answer.
    var inFlightMax: Int
    var inFlightBytesMax: Int
    /// How long an answer is waited for.
    var answerTimeout: Duration
    var connectTimeout: Duration
    /// After so many duplicate windows the server knows no id any more that was published before, also not of a copy
    /// that came late. Not configured.
    var windowsUntilForgotten = 2

    /// Settings from checked values.
    package init(values: SettingValues, pipelineName: String) throws(SettingProblem) {
        try self.init(values: values, pipelineName: pipelineName, topics: .tables)
    }

    /// Settings from checked values for a format whose topics are of one kind.
    package init(values: SettingValues, pipelineName: String, topics: Topics) throws(SettingProblem) {
        var check = SettingCheck()
        servers = []
        for (index, text) in (values.list("servers") ?? []).enumerated() {
            let server = check.attempt { () throws(SettingProblem) in
                try ServerAddress(text, setting: "servers[\(index)]")
            }
            if let server { servers.append(server) }
        }
        if values.list("servers")?.isEmpty ?? true {
            check.note(SettingProblem("servers", "names no server", hint: "write servers: [nats://localhost:4222]"))
        }
        authentication = check.attempt { () throws(SettingProblem) in try Self.authentication(values) } ?? .none
        tls = check.attempt { () throws(SettingProblem) in try Self.tls(values.group("tls")) } ?? TLSFiles()
        domain = values.text("domain")
        stream = values.text("stream") ?? pipelineName
        let subject = check.attempt { () throws(SettingProblem) in
            try SubjectTemplate(
                values.text("subject") ?? topics.usualSubject, pipelineName: pipelineName, topicPrefix: topics.prefix)
        }
        if let subject {
            self.subject = subject
        } else {
            self.subject = try SubjectTemplate(
                topics.usualSubject, pipelineName: pipelineName, topicPrefix: topics.prefix)
        }
        isShared = values.flag("shared") ?? false
        isBinary = values.text("mode") == "binary"
        inFlightMax = values.integer("max_in_flight") ?? Self.usualInFlight
        inFlightBytesMax = values.size("max_in_flight_size") ?? Self.usualInFlightBytes
        answerTimeout = values.duration("ack_timeout") ?? .seconds(5)
        connectTimeout = values.duration("connect_timeout") ?? .seconds(5)
        newStream = values.flag("create_stream") ?? true ? Self.newStream(values.group("new_stream")) : nil
        if newStream == nil, values.isGiven("new_stream") {
            check.note(
                SettingProblem(
                    "new_stream", "has no meaning with create_stream: false",
                    hint: "take new_stream out, or have the stream made"))
        }
        look(&check)
        try check.finish()
    }

    /// What the topics of a format are like.
    package enum Topics: Sendable {
        /// Tables' names, or what applications choose.
        case tables
        /// Whole names for the world outside; all of them begin with the prefix, unless it is nil.
        case whole(prefix: String?)

        /// The subject when the configuration chooses none.
        var usualSubject: String {
            switch self {
            case .tables: NATSSettings.usualSubject
            case .whole: "{topic}"
            }
        }

        var prefix: String? { if case .whole(let prefix) = self { prefix } else { nil } }
    }

    /// Throws when a stream is to be made that would take all subjects there are: no server has one.
    package func checkNewStream() throws(SettingProblem) {
        guard newStream != nil, subject.pattern.text == ">" else { return }
        throw SettingProblem(
            "subject", "\(subject.text) can be any subject, and no stream takes all",
            hint: "make the stream yourself and write create_stream: false, or write subject: \"\(Self.usualSubject)\"")
    }

    /// True when both publish to one stream, as far as their settings tell: the servers of one cluster may have many
    /// names, and one account several users.
    package func hasStream(of other: NATSSettings) -> Bool {
        stream == other.stream && domain == other.domain && authentication == other.authentication
            && servers.contains { server in
                other.servers.contains { $0.host.lowercased() == server.host.lowercased() && $0.port == server.port }
            }
    }

    /// The subject when neither configuration nor format chooses one.
    static let usualSubject = "{name}.{topic}"
    /// Messages in flight when the configuration says nothing.
    static let usualInFlight = 4096
    /// Bytes in flight when the configuration says nothing.
    static let usualInFlightBytes = 8 << 20
    /// The duplicate window of a stream that the sink makes: that of streams that others make without a word.
    static let usualDuplicateWindow = Duration.seconds(120)

    /// The shortest duplicate window that the sink works with: a message that is repeated must still be known, however
    /// late its first copy arrives.
    var duplicateWindowMin: Duration { max(.seconds(10), answerTimeout * 2) }

    /// The settings that hold paths of files, from the sink's own table.
    package static let pathSettings = [["credentials"], ["tls", "ca"], ["tls", "certificate"], ["tls", "key"]]

    /// Looks at limits and names.
    private func look(_ check: inout SettingCheck) {
        let limits: [(String, Duration)] = [("ack_timeout", answerTimeout), ("connect_timeout", connectTimeout)]
        for (name, limit) in limits where limit < .milliseconds(100) || limit > .seconds(600) {
            check.note(SettingProblem(name, "must lie between 100ms and 10m"))
        }
        if inFlightBytesMax < 1 { check.note(SettingProblem("max_in_flight_size", "must not be 0")) }
        let isName = stream.utf8.allSatisfy { byte in
            byte > 0x20 && byte < 0x7F && !Self.forbiddenInNames.contains(byte)
        }
        if !isName || stream.isEmpty || stream.utf8.count > 255 {
            check.note(
                SettingProblem(
                    "stream", "\(stream) cannot be the name of a stream",
                    hint: "write visible ASCII characters without . * > / \\ and quotes, 255 at most"))
        }
        if let newStream, newStream.duplicateWindow < duplicateWindowMin {
            check.note(
                SettingProblem(
                    "new_stream.duplicate_window", "is shorter than twice ack_timeout, or than 10s",
                    hint: "write duplicate_window: 2m, or take it out"))
        }
    }

    private static let forbiddenInNames: Set<UInt8> = Set(".*>/\\\"'".utf8)

    private static func authentication(_ values: SettingValues) throws(SettingProblem) -> Authentication {
        let names = ["user", "token", "nkey", "credentials"]
        let given = names.filter { values.text($0) != nil }
        guard given.count <= 1 else {
            throw SettingProblem(
                given[1], "\(given[0]) and \(given[1]) are both given",
                hint: "keep one of user (with password), token, nkey (with nkey_seed) and credentials")
        }
        for (first, second) in [("user", "password"), ("nkey", "nkey_seed")]
        where (values.text(first) == nil) != (values.text(second) == nil) {
            let (has, lacks) = values.text(first) == nil ? (second, first) : (first, second)
            throw SettingProblem(has, "\(has) is given without \(lacks)", hint: "write both, or neither")
        }
        if let user = values.text("user") { return .user(user, password: values.text("password") ?? "") }
        if let token = values.text("token") { return .token(token) }
        if let key = values.text("nkey") { return .key(public: key, seed: values.text("nkey_seed") ?? "") }
        if let path = values.text("credentials") { return .credentials(path: path) }
        return .none
    }

    private static func tls(_ values: SettingValues?) throws(SettingProblem) -> TLSFiles {
        let files = TLSFiles(
            authority: values?.text("ca"), certificate: values?.text("certificate"), key: values?.text("key"))
        guard (files.certificate == nil) == (files.key == nil) else {
            throw SettingProblem("tls", "certificate and key belong together", hint: "write both, or neither")
        }
        return files
    }

    private static func newStream(_ values: SettingValues?) -> NewStream {
        NewStream(
            replicas: values?.integer("replicas") ?? 1, isInMemory: values?.text("storage") == "memory",
            ageMax: values?.duration("max_age"), bytesMax: values?.size("max_size"),
            duplicateWindow: values?.duration("duplicate_window") ?? usualDuplicateWindow)
    }
}

package import ConnectorKit

/// What a webhook sink is told in the configuration.
package struct WebhookSettings: Sendable, Equatable {
    /// How events become requests.
    package enum Mode: String, Sendable, CaseIterable {
        /// An event is the body of a request.
        case structured
        /// The event's data is the body of a request, its attributes are headers.
        case binary
        /// Several events of a lane are the body of a request, as an array.
        case batch
    }

    /// Where requests go. Secret: it may hold a token.
    var url: WebhookURL
    /// The keys that sign each request.
    var secrets: [WebhookSecret]
    /// How events become requests.
    package var mode: Mode
    /// The most events of a request in batch mode.
    var batchRecordsMax = 100
    /// A batch is not made longer than this by another event.
    var batchBytesMax = 256 << 10
    /// How many requests are on their way at most.
    var concurrency = 8
    /// How many records may be taken that the cursor does not cover.
    var windowRecordsMax = 4096
    /// And how many bytes of them.
    var windowBytesMax = 8 << 20
    /// Pauses between attempts.
    var pauses = RetryPauses(initial: .seconds(1), longest: .seconds(300))
    /// After how long an event that the endpoint does not take becomes a dead letter; nil for never.
    var giveUpAfter: Duration?
    /// So many failures in a row, and the endpoint counts as down.
    var circuitFailuresMax = 10
    /// How long a request may take.
    var timeout = Duration.seconds(15)
    /// How long a connection may take to come about.
    var connectTimeout = Duration.seconds(5)
    /// A longer request is not sent.
    var requestBytesMax = 16 << 20
    /// More of a response is not read.
    var responseBytesMax = 64 << 10
    /// True to send to addresses that are not public too.
    var allowsPrivateAddresses = false
    /// A proxy; secret, as it may hold a password.
    var proxy: String?
    /// Files of certificates.
    package var tls = TLS()
    /// Headers that every request has, by their names.
    var headers: [String: String] = [:]
    /// The value of `Authorization`; nil for none.
    var authorization: String?
    /// How keys and headers of records are sent.
    var recordHeaders = RecordHeaders()
    /// True when they are: the sink knows, when it knows the records.
    var sendsRecordHeaders = false

    /// Where requests go, as far as it explains why they fail.
    var way: WebhookFailure.Way {
        WebhookFailure.Way(
            origin: url.origin, hasProxy: proxy != nil, lacksCertificate: url.isEncrypted && tls.certificate == nil)
    }

    /// Where in the settings paths of files stand.
    package static let pathSettings = [["tls", "ca"], ["tls", "certificate"], ["tls", "key"]]

    /// Files of certificates, in PEM.
    package struct TLS: Sendable, Equatable {
        /// Certificates that are trusted, instead of the system's.
        package var authorities: String?
        /// The certificate that the client shows.
        package var certificate: String?
        /// Its key.
        package var key: String?
        /// The password of the key. Secret.
        var keyPassword: String?
    }

    /// Checks what the kinds of the settings cannot say. Nothing secret is ever quoted in a problem.
    package init(values: SettingValues, pipelineName: String) throws(SettingProblem) {
        var check = SettingCheck()
        let allowsPrivate = values.flag("allow_private_addresses") ?? false
        let url = check.attempt { () throws(SettingProblem) in
            try Self.checkedURL(values.text("url") ?? "", allowsPrivate)
        }
        let secrets = check.attempt { () throws(SettingProblem) in try Self.secrets(values) }
        let headers = check.attempt { () throws(SettingProblem) in
            try Self.checkedHeaders(values.map("headers") ?? [:])
        }
        let recordHeaders = check.attempt { () throws(SettingProblem) in
            try Self.recordHeaders(values.group("record_headers") ?? SettingValues())
        }
        let authorization = check.attempt { () throws(SettingProblem) in
            try Self.authorization(values.group("authentication") ?? SettingValues(), url ?? .none, headers ?? [:])
        }
        let tls = check.attempt { () throws(SettingProblem) in
            try Self.files(values.group("tls") ?? SettingValues())
        }
        let mode = Mode(rawValue: values.text("mode") ?? "") ?? .structured
        Self.lookAtUse(values, mode, &check)
        (self.mode, allowsPrivateAddresses, proxy) = (mode, allowsPrivate, values.text("proxy"))
        concurrency = values.integer("concurrency") ?? concurrency
        self.url = url ?? .none
        (self.secrets, self.headers) = (secrets ?? [], headers ?? [:])
        self.recordHeaders = recordHeaders ?? self.recordHeaders
        (self.authorization, self.tls) = (authorization ?? nil, tls ?? TLS())
        readLimits(values, &check)
        readTimes(values, &check)
        try check.finish()
    }

    /// Settings that would mean nothing, and a proxy that is none.
    private static func lookAtUse(_ values: SettingValues, _ mode: Mode, _ check: inout SettingCheck) {
        if values.isGiven("batch"), mode != .batch {
            check.note(
                SettingProblem(
                    "batch", "has a meaning only in the mode batch, and the mode is \(mode.rawValue)",
                    hint: "write mode: batch, or take batch out"))
        }
        if let proxy = values.text("proxy"), WebhookURL(proxy) == nil {
            check.note(SettingProblem("proxy", "is no address of an HTTP proxy", hint: "write http://host:port"))
        }
    }

    private mutating func readLimits(_ values: SettingValues, _ check: inout SettingCheck) {
        if let batch = values.group("batch") {
            batchRecordsMax = batch.integer("records") ?? batchRecordsMax
            batchBytesMax = batch.size("size") ?? batchBytesMax
        }
        if let window = values.group("window") {
            windowRecordsMax = window.integer("records") ?? windowRecordsMax
            windowBytesMax = window.size("size") ?? windowBytesMax
        }
        requestBytesMax = values.size("max_request_size") ?? requestBytesMax
        responseBytesMax = values.size("max_response_size") ?? responseBytesMax
        if !(1...(1 << 30)).contains(requestBytesMax) {
            check.note(SettingProblem("max_request_size", "is not between 1 byte and 1GiB"))
        }
        if responseBytesMax > 1 << 30 { check.note(SettingProblem("max_response_size", "is more than 1GiB")) }
        if !(1 << 10...(1 << 30)).contains(windowBytesMax) {
            check.note(SettingProblem("window.size", "is not between 1KiB and 1GiB"))
        }
    }

    private mutating func readTimes(_ values: SettingValues, _ check: inout SettingCheck) {
        if let retry = values.group("retry") {
            pauses.initial = retry.duration("initial") ?? pauses.initial
            pauses.longest = retry.duration("max") ?? max(pauses.longest, pauses.initial)
            giveUpAfter = retry.duration("give_up_after")
        }
        circuitFailuresMax = values.integer("failures_until_pause") ?? circuitFailuresMax
        timeout = values.duration("timeout") ?? timeout
        connectTimeout = values.duration("connect_timeout") ?? min(connectTimeout, timeout)
        var times = [("timeout", timeout), ("connect_timeout", connectTimeout)]
        if pauses.initial >= .milliseconds(1), pauses.initial <= pauses.longest {
            times.append(("retry.max", pauses.longest))
        } else {
            check.note(SettingProblem("retry.max", "is shorter than retry.initial, or both are zero"))
        }
        for (name, time) in times where time < .milliseconds(1) || time > .seconds(86_400) {
            check.note(SettingProblem(name, "is not between 1ms and 1d"))
        }
    }
}

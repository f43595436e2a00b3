private import CLibCurl
internal import ConnectorKit

/// What becomes of a request.
enum Verdict: Sendable, Equatable {
    /// The endpoint has the events.
    case accepted
    /// It is sent again later. With a pause, the endpoint wants to hear nothing of anybody for so long.
    case again(ConnectorFailure, pause: Duration?)
    /// The endpoint will never take it.
    case rejected(code: String, message: String)
    /// The endpoint wants no more events at all.
    case stop(ConnectorFailure)
}

/// How a request ended.
struct Outcome: Sendable, Equatable {
    /// What the end of a request was.
    enum Ending: Sendable, Equatable {
        /// A response came, or so much of a long one as is read.
        case answered
        /// There is no connection, with the CURLcode that says why.
        case notConnected(UInt32)
        /// The connection broke.
        case lost
        /// The endpoint ended the connection before the response was whole.
        case cut
        /// What came is no HTTP/1.1.
        case malformed(ResponseParser.Part)
        /// It took too long.
        case timedOut
    }

    /// What the end of the request was.
    var ending: Ending
    /// The status of the response; 0 without one.
    var status: Int
    /// What `Retry-After` says, in seconds; 0 without it.
    var retryAfter = 0
    /// True when another request may follow on the connection.
    var isReusable = false
    /// True when an address was refused.
    var isAddressRefused = false
    /// The status with which a proxy answered the request for a tunnel; 0 without one.
    var proxyStatus = 0
    /// What OpenSSL says about the endpoint's certificate; 0 for nothing bad.
    var verifyResult = 0
    /// What went wrong, in words of libcurl or the system.
    var reason = ""

    /// An end with a status.
    init(_ ending: Ending, status: Int = 0) {
        self.ending = ending
        self.status = status
    }
}

/// Every failure of the webhook sink, in one place: which CURLcode and which status has which code and consequence.
/// Nothing of a body, a header's value or a URL's path is in a message.
enum WebhookFailure {
    /// Where requests go, as far as it explains why they fail.
    struct Way: Sendable {
        /// The endpoint: scheme, host and port.
        var origin: String
        /// True when a proxy stands in between.
        var hasProxy = false
        /// True when the endpoint could ask for a client certificate, and none is set.
        var lacksCertificate = false
    }

    /// `Retry-After` is kept to up to here.
    static let pauseMax = Duration.seconds(3600)

    /// OpenSSL refuses to work.
    static let cannotSign = ConnectorFailure(
        "webhook.cannot_sign", .stop, "libcrypto cannot make signatures",
        hint: "look at the configuration of OpenSSL on this machine (openssl list -providers)")

    /// libcurl refuses to work.
    static func client(_ what: String) -> ConnectorFailure {
        ConnectorFailure(
            "webhook.client", .retry, "libcurl cannot \(what)",
            hint: "look at the memory and open files of this process")
    }

    /// A batch whose records do not lie in its bytes.
    static let badBatch = ConnectorFailure(
        "webhook.bad_batch", .stop, "a batch of records does not have the form that sinks are promised",
        hint: "this is a fault of the encoder: please report it; nothing of the batch was sent")

    /// A write that was broken off because the pipeline ends.
    static let interrupted = ConnectorFailure(
        "webhook.interrupted", .retry, "the endpoint had not taken everything when delivery was ended",
        hint: "nothing is lost: the rest is sent after the next start")

    /// A write before the sink was opened.
    static let notOpen = ConnectorFailure(
        "webhook.not_open", .retry, "the webhook sink was written to before it was open")

    /// An event that makes a larger request than the configuration allows.
    static func tooLarge(_ count: Int, _ limit: Int) -> (code: String, message: String) {
        (
            "webhook.too_large",
            "the event makes a request of \(count) bytes where max_request_size allows \(limit)"
        )
    }

    /// An event that was tried for longer than the configuration allows.
    static func gaveUp(_ last: ConnectorFailure, _ attempts: Int) -> (code: String, message: String) {
        ("webhook.gave_up", "given up after \(counted(attempts, "attempt")); the last one: \(last.message)")
    }

    /// What becomes of a request that ended so.
    static func verdict(_ outcome: Outcome, on way: Way) -> Verdict {
        switch outcome.ending {
        case .answered: verdict(ofStatus: outcome.status, outcome.retryAfter, way)
        case .notConnected(let code): verdict(ofCode: CURLcode(rawValue: code), outcome, way)
        // The endpoint looks at the client's certificate when the client takes TLS for made.
        case .lost where isAlert(outcome.reason): tls(outcome, way.origin)
        case .lost: lost(way, outcome.reason)
        case .cut: lost(way, "it ended before the response was whole")
        case .timedOut: late(way.origin)
        case .malformed(let part):
            .again(
                failure(
                    "webhook.bad_response",
                    "\(way.origin) answered with what is no HTTP/1.1: its \(part.rawValue) cannot be read",
                    "look whether url is the address of an HTTP server, with the right port and scheme"),
                pause: nil)
        }
    }

    private static func verdict(ofStatus status: Int, _ retryAfter: Int, _ way: Way) -> Verdict {
        // Nothing is made for what nearly always comes.
        if (200..<300).contains(status) { return .accepted }
        let pause: Duration? = retryAfter > 0 ? min(.seconds(retryAfter), pauseMax) : nil
        let answered = "\(way.origin) answered with status \(status)"
        switch status {
        case 300..<400:
            return .again(
                failure("webhook.redirected", answered, "redirections are not followed: set url to the final address"),
                pause: nil)
        case 407 where way.hasProxy: return proxyRefused(status, way.origin)
        case 401, 403, 407:
            return .again(
                failure(
                    "webhook.unauthorized", answered, "look at secret, authentication, headers and proxy of the sink"),
                pause: nil)
        case 404, 405:
            return .again(failure("webhook.not_found", answered, "look whether the path of url is right"), pause: nil)
        case 410:
            return .stop(
                ConnectorFailure(
                    "webhook.gone", .stop, "\(answered): the endpoint is gone and wants no more events",
                    setting: "url", hint: "set url to the new address, or take the sink out"))
        case 429:
            return .again(
                failure(
                    "webhook.throttled", answered, "delivery goes on by itself; lower concurrency if it happens often"),
                pause: pause)
        case 408, 425: return .again(failure("webhook.unavailable", answered, nil), pause: nil)
        case 400..<500: return .rejected(code: "webhook.refused", message: answered)
        default:
            return .again(
                failure("webhook.unavailable", answered, "delivery goes on by itself once the endpoint works again"),
                pause: (502...504).contains(status) ? pause : nil)
        }
    }

    private static func verdict(ofCode code: CURLcode, _ outcome: Outcome, _ way: Way) -> Verdict {
        let origin = way.origin
        let reason = unsafe String(cString: curl_easy_strerror(code))
        if outcome.isAddressRefused {
            return .again(
                failure(
                    "webhook.address_refused", "\(origin) resolves to an address that is not public",
                    "set allow_private_addresses: true when events may go to it"),
                pause: nil)
        }
        if outcome.proxyStatus >= 300 { return proxyRefused(outcome.proxyStatus, origin) }
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT:
            return .again(
                failure(
                    "webhook.connection_failed",
                    "cannot connect to \(way.hasProxy ? "the proxy for " : "")\(origin): \(reason.lowercased())",
                    "check that the \(way.hasProxy ? "proxy" : "endpoint") is up, and its name and port"),
                pause: nil)
        case CURLE_OPERATION_TIMEDOUT: return late(way.origin)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_USE_SSL_FAILED:
            return tls(outcome, way.origin)
        case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_CIPHER,
            CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED:
            return .stop(
                ConnectorFailure(
                    "webhook.tls_files", .stop, "a file of tls cannot be used: \(reason)", setting: "tls",
                    hint: "look whether the files of tls exist, can be read, hold PEM and belong together"))
        case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT:
            return .again(client("send: \(reason)"), pause: nil)
        default: return isAlert(outcome.reason) ? tls(outcome, way.origin) : lost(way, reason)
        }
    }

    /// The proxy is not named: its address may hold a password.
    private static func proxyRefused(_ status: Int, _ origin: String) -> Verdict {
        .again(
            failure(
                "webhook.proxy_refused",
                "the proxy answered with status \(status) when asked for a connection to \(origin)",
                status == 407
                    ? "set the user and password that it wants in proxy: http://user:password@host:port"
                    : "have it allow connections to the endpoint, or set another proxy"),
            pause: nil)
    }

    private static func late(_ origin: String) -> Verdict {
        .again(
            failure("webhook.timeout", "\(origin) did not answer in time", "raise timeout if it needs longer"),
            pause: nil)
    }

    /// An endpoint that wants a client certificate may end the connection before it has said so.
    private static func lost(_ way: Way, _ reason: String) -> Verdict {
        let more =
            way.lacksCertificate
            ? "; if it stays, the endpoint may want a client certificate (tls.certificate and tls.key)" : ""
        return .again(
            failure(
                "webhook.connection_lost", "the connection to \(way.origin) broke: \(reason)",
                "delivery goes on by itself; look at the endpoint and the network if it happens often" + more),
            pause: nil)
    }

    private static func tls(_ outcome: Outcome, _ origin: String) -> Verdict {
        .again(
            failure("webhook.tls", "no TLS connection to \(origin): \(outcome.reason)", tlsHint(outcome)), pause: nil)
    }

    /// The numbers are OpenSSL's, see X509_STORE_CTX_get_error(3); others say that nothing was found.
    private static func tlsHint(_ outcome: Outcome) -> String {
        switch outcome.verifyResult {
        case 9, 10: "the endpoint's certificate must be renewed, unless the clock of this machine is wrong"
        case 18...21: "when the endpoint's authority is one of your own, name its certificate in tls.ca"
        case _ where isAlert(outcome.reason):
            "when the endpoint wants a client certificate, name one that it trusts in tls.certificate and tls.key"
        case _ where outcome.reason.contains("name"): "set url to a name that the endpoint's certificate is for"
        default: "see the reason with: openssl s_client -connect HOST:PORT"
        }
    }

    /// True when the endpoint ended TLS and said why.
    private static func isAlert(_ reason: String) -> Bool { reason.contains(" alert ") }

    private static func failure(_ code: String, _ message: String, _ hint: String?) -> ConnectorFailure {
        ConnectorFailure(code, .retry, message, setting: "url", hint: hint)
    }
}

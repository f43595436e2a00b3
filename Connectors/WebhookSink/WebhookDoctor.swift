internal import CLibCurl
package import ConnectorKit

/// What `millrace doctor` looks at for a webhook sink.
package enum WebhookDoctor {
    /// Whether the endpoint can be connected to, with TLS where the URL has it, and how requests are protected. Sends
    /// nothing.
    package static func findings(_ settings: WebhookSettings) async -> [Finding] {
        var findings = [await reachability(settings)]
        let origin = settings.url.origin
        if origin.hasPrefix("http:") {
            findings.append(
                Finding(
                    .warning, "webhook.plain_http", "events go to \(origin) without encryption",
                    fix: "use https, unless the network is yours alone"))
        }
        if settings.secrets.isEmpty {
            findings.append(
                Finding(
                    .warning, "webhook.unsigned", "requests to \(origin) are not signed",
                    fix: "set secret: whsec_$(openssl rand -base64 32), and give it to the receiver"))
        }
        return findings
    }

    /// The connection is made on a thread of its own, because libcurl waits for it.
    private static func reachability(_ settings: WebhookSettings) async -> Finding {
        await withCheckedContinuation { continuation in
            startThread(name: "webhook-doctor") { continuation.resume(returning: connect(settings)) }
        }
    }

    /// How long the endpoint has to refuse a connection that it took.
    private static let patience = Duration.milliseconds(300)

    private static func connect(_ settings: WebhookSettings) -> Finding {
        let origin = settings.url.origin
        do throws(ConnectorFailure) {
            let connection = try Connection(settings, place: 0)
            connection.willConnect()
            let result = unsafe curl_easy_perform(connection.handle)
            var outcome = connection.didConnect(result)
            if outcome == nil, settings.url.isEncrypted { outcome = connection.objection(within: patience) }
            if let outcome {
                switch WebhookFailure.verdict(outcome, on: settings.way) {
                case .again(let failure, _), .stop(let failure): throw failure
                case .accepted, .rejected: throw WebhookFailure.client("connect")
                }
            }
            return Finding(.ok, "webhook.reachable", "\(origin) can be connected to")
        } catch {
            return Finding(.problem, error.code, error.message, fix: error.hint)
        }
    }
}

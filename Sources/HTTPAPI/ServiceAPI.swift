package import ConnectorKit
package import JSONText

/// What the program tells about itself: whether it lives, whether it works, how far it is.
package struct ServiceAPI: Sendable {
    /// Whether the program does its work.
    package enum Readiness: Sendable, Equatable {
        /// It does, but for `stoppedSinks`, which wait for somebody to mend what stopped them.
        case ready(stoppedSinks: [String])
        /// It waits, under the code of a failure, or, without one, for its start.
        case waiting(code: String?)
    }

    private let readiness: @Sendable () -> Readiness
    private let status: (@Sendable () async -> Result<JSONValue, ConnectorFailure>)?
    private let metrics: @Sendable () async -> MetricsText

    /// The interface of a program. Without `status` there is no such path.
    package init(
        readiness: @escaping @Sendable () -> Readiness,
        status: (@Sendable () async -> Result<JSONValue, ConnectorFailure>)? = nil,
        metrics: @escaping @Sendable () async -> MetricsText
    ) {
        self.readiness = readiness
        self.status = status
        self.metrics = metrics
    }

    /// Health needs no token: who watches over processes has none.
    package var routes: [Route] {
        var routes = [
            Route(.get, "healthz", isOpen: true) { _, _ in APIReply(["status": "ok"], type: .plain) },
            Route(.get, "readyz", isOpen: true) { [readiness] _, _ in Self.reply(readiness()) },
            Route(.get, "metrics") { [metrics] _, _ in
                APIReply(text: await metrics().text, contentType: "text/plain; version=0.0.4; charset=utf-8")
            },
        ]
        if let status {
            routes.append(
                Route(.get, "v1/status") { _, _ throws(HTTPProblem) in
                    switch await status() {
                    case .success(let status): return APIReply(status, type: .plain)
                    case .failure(let failure): throw HTTPProblem(503, "[\(failure.code)] \(failure.message)")
                    }
                })
        }
        return routes
    }

    private static func reply(_ readiness: Readiness) -> APIReply {
        switch readiness {
        case .ready(let stopped) where stopped.isEmpty: APIReply(["status": "ready"], type: .plain)
        case .ready(let stopped):
            APIReply(["status": "ready", "stopped_sinks": .array(stopped.map { .string($0) })], type: .plain)
        case .waiting(let code):
            APIReply(
                ["status": "waiting", "code": code.map { .string($0) } ?? .null], status: 503, type: .plain)
        }
    }
}

package import Broker
package import ConnectorKit
package import EventLog
package import JSONText

/// Durable subscriptions over HTTP: cursors with names, whose events any number of consumers pull and acknowledge.
///
/// See `docs/reference/http.md`.
package struct SubscriptionsAPI: Sendable {
    private let desk: SubscriptionDesk
    private let events: EventsAPI
    private let reports: @Sendable () async -> Result<LogStatistics, ConnectorFailure>
    private let waiting: Permits
    private let waitingMax: Int

    /// How long a request may wait for events, in seconds.
    private static let waitMax = 30
    private static let pullMax = 1000
    private static let receiptsMax = 1000

    /// The interface to a log's subscriptions. `reports` looks up how they stand; at most `waitingMax` requests wait
    /// for events at a time.
    package init(
        _ desk: SubscriptionDesk, _ events: EventsAPI, waitingMax: Int,
        reports: @escaping @Sendable () async -> Result<LogStatistics, ConnectorFailure>
    ) {
        self.desk = desk
        self.events = events
        self.reports = reports
        self.waitingMax = waitingMax
        waiting = Permits(waitingMax)
    }

    /// Everything that consumers ask for.
    package var routes: [Route] {
        [
            Route(.get, "v1/subscriptions") { request, _ throws(HTTPProblem) in
                try request.refuseUnknown([])
                var list: [JSONValue] = []
                for found in try await all() { list.append(await json(found)) }
                return APIReply(["subscriptions": .array(list)], type: .plain)
            },
            Route(.get, "v1/subscriptions/{}") { request, parts throws(HTTPProblem) in
                try request.refuseUnknown([])
                return try await show(parts[0])
            },
            Route(.put, "v1/subscriptions/{}", takesAnyType: true) { request, parts throws(HTTPProblem) in
                try request.refuseUnknown([])
                return try await put(parts[0], request)
            },
            Route(.delete, "v1/subscriptions/{}") { request, parts throws(HTTPProblem) in
                try request.refuseUnknown([])
                try await asking { () async throws(SubscriptionDesk.Refusal) in try await desk.remove(parts[0]) }
                return APIReply(["removed": .string(parts[0])], type: .plain)
            },
            Route(.post, "v1/subscriptions/{}/pull", isPatient: true, takesAnyType: true) {
                request, parts throws(HTTPProblem) in
                try await pull(parts[0], request)
            },
            Route(.post, "v1/subscriptions/{}/ack", takesAnyType: true) { request, parts throws(HTTPProblem) in
                let body = try ConsumerBody(request, ["receipts"])
                return try await settle(parts[0], body, .acknowledge)
            },
            Route(.post, "v1/subscriptions/{}/nack", takesAnyType: true) { request, parts throws(HTTPProblem) in
                let body = try ConsumerBody(request, ["receipts", "delay"])
                return try await settle(parts[0], body, .reject(delay: try body.time("delay", max: 43_200) ?? .zero))
            },
            Route(.post, "v1/subscriptions/{}/extend", takesAnyType: true) { request, parts throws(HTTPProblem) in
                let body = try ConsumerBody(request, ["receipts", "ack_timeout"])
                guard let time = try body.time("ack_timeout", max: 43_200) else {
                    throw HTTPProblem(400, "the body has no \"ack_timeout\", such as \"30s\"")
                }
                return try await settle(parts[0], body, .extend(time))
            },
            Route(.post, "v1/subscriptions/{}/seek", takesAnyType: true) { request, parts throws(HTTPProblem) in
                let body = try ConsumerBody(request, ["from"])
                guard let start = try body.start() else { throw HTTPProblem(400, "the body has no \"from\"") }
                try await asking { () async throws(SubscriptionDesk.Refusal) in
                    try await desk.seek(parts[0], to: start)
                }
                return try await show(parts[0])
            },
        ] + deadLetterRoutes
    }

    private var deadLetterRoutes: [Route] {
        [
            Route(.get, "v1/subscriptions/{}/deadletters") { request, parts throws(HTTPProblem) in
                try request.refuseUnknown([])
                let letters = try await asking { () async throws(SubscriptionDesk.Refusal) in
                    try await desk.deadLetters(of: parts[0])
                }
                return APIReply(["deadletters": .array(letters.map(Self.json))], type: .plain)
            },
            decision("retry", retries: true), decision("discard", retries: false),
        ]
    }

    private static func json(_ letter: (offset: UInt64, deliveryCount: Int)) -> JSONValue {
        var members = [
            JSONObject.Member(name: "offset", value: .number(JSONNumber(letter.offset))),
            JSONObject.Member(name: "deliveries", value: .number(JSONNumber(letter.deliveryCount))),
        ]
        // What nobody ever got is one because there is no event of it.
        if letter.deliveryCount == 0 {
            members.append(JSONObject.Member(name: "code", value: .string(EventReading.notEncodableCode)))
        }
        return .object(JSONObject(members))
    }

    private func decision(_ word: String, retries: Bool) -> Route {
        Route(.post, "v1/subscriptions/{}/deadletters/\(word)", takesAnyType: true) {
            request, parts throws(HTTPProblem) in
            let offsets = try ConsumerBody(request, ["offsets"]).offsets()
            let count = try await asking { () async throws(SubscriptionDesk.Refusal) in
                try await desk.decide(parts[0], offsets, retries: retries)
            }
            return APIReply([retries ? "retried" : "discarded": .number(JSONNumber(count))], type: .plain)
        }
    }
}

// MARK: - What is done

extension SubscriptionsAPI {
    private func all() async throws(HTTPProblem) -> [(SubscriptionReport, UInt64)] {
        switch await reports() {
        case .success(let log): return log.subscriptions.map { ($0, log.nextOffset) }
        case .failure(let failure): throw HTTPProblem(failure)
        }
    }

    private func show(_ name: String) async throws(HTTPProblem) -> APIReply {
        guard let found = try await all().first(where: { $0.0.subscription.name == name }) else {
            throw problem(.unknown)
        }
        return APIReply(await json(found), type: .plain)
    }

    /// A subscription with what went wrong when its consumers last asked for events.
    private func json(_ found: (report: SubscriptionReport, end: UInt64)) async -> JSONValue {
        let trouble = await desk.trouble(of: found.report.subscription.name)
        let error = trouble.map { ["code": .string($0.code), "message": .string($0.message)] as JSONValue } ?? .null
        let members = Self.json(found).object?.members ?? []
        return .object(JSONObject(members + [JSONObject.Member(name: "error", value: error)]))
    }

    /// A subscription as it is shown here and by `status`.
    package static func json(_ found: (report: SubscriptionReport, end: UInt64)) -> JSONValue {
        let (report, stored) = (found.report, found.report.subscription)
        let settings = (try? JSONValue(parsing: Array(stored.settings.utf8), depthMax: 8)) ?? .null
        let lag = found.end > stored.cursor ? found.end - stored.cursor : 0
        return [
            "name": .string(stored.name), "settings": settings, "cursor": .number(JSONNumber(stored.cursor)),
            "lag_events": .number(JSONNumber(lag)), "in_flight": .number(JSONNumber(report.inFlightCount)),
            "waiting": .number(JSONNumber(report.waitingCount)),
            "dead_letters": .number(JSONNumber(report.deadCount)),
            "delivered": .number(JSONNumber(stored.counts.delivered)),
            "acknowledged": .number(JSONNumber(stored.counts.acknowledged)),
            "returned": .number(JSONNumber(stored.counts.returned)),
            "created_at": .string(UTCTime.text(stored.createdAt)), "moved_at": .string(UTCTime.text(stored.movedAt)),
        ]
    }

    private func put(_ name: String, _ request: APIRequest) async throws(HTTPProblem) -> APIReply {
        guard Self.isName(name) else {
            throw HTTPProblem(
                400, "a subscription's name is a small letter and up to 39 small letters, digits, _ or -")
        }
        let body = try ConsumerBody(request, nil)
        let settings: SubscriptionSettings
        do throws(SubscriptionSettings.Problem) {
            settings = try SubscriptionSettings(body.members)
        } catch {
            throw HTTPProblem(400, error.message)
        }
        let start = try body.start() ?? .earliest
        let isNew = try await asking { () async throws(SubscriptionDesk.Refusal) in
            try await desk.put(name, settings, from: start)
        }
        var reply = try await show(name)
        if isNew { reply.status = 201 }
        return reply
    }

    private func pull(_ name: String, _ request: APIRequest) async throws(HTTPProblem) -> APIReply {
        let body = try ConsumerBody(request, ["max", "wait"])
        let count = try body.count("max", 1...Self.pullMax) ?? 100
        let wait = try body.time("wait", max: Self.waitMax) ?? .zero
        if wait > .zero {
            guard waiting.take() else {
                throw HTTPProblem(
                    503, "\(waitingMax) requests wait for events, and no more may (server.streams)",
                    fields: [APIReply.Field("Retry-After", "1")])
            }
        }
        defer { if wait > .zero { waiting.giveBack() } }
        let cut = ClientCut()
        let answer = try await asking { () async throws(SubscriptionDesk.Refusal) in
            try await desk.pull(name, countMax: count, wait: wait) { cut.end() }
        }
        guard let taken = answer.taken else { return APIReply(body: answer.bytes, contentType: "application/json") }
        // A long one goes out as the consumer takes it, in whatever time that needs.
        return APIReply(ReplyStream(answer.bytes, cut: cut, end: taken), contentType: "application/json")
    }

    private func settle(
        _ name: String, _ body: ConsumerBody, _ action: SubscriptionDesk.Action
    ) async throws(HTTPProblem) -> APIReply {
        let receipts = try body.receipts(max: Self.receiptsMax)
        let settlement = try await asking { () async throws(SubscriptionDesk.Refusal) in
            try await desk.settle(name, receipts, action)
        }
        return APIReply(
            [
                "done": .number(JSONNumber(settlement.doneCount)),
                "stale": .array(settlement.stale.map { .string($0) }),
            ], type: .plain)
    }

    private func asking<Value>(
        _ body: () async throws(SubscriptionDesk.Refusal) -> Value
    ) async throws(HTTPProblem) -> Value {
        do throws(SubscriptionDesk.Refusal) {
            return try await body()
        } catch {
            if case .failure(let failure) = error { throw await events.problem(failure) }
            throw problem(error)
        }
    }

    private func problem(_ refusal: SubscriptionDesk.Refusal) -> HTTPProblem {
        switch refusal {
        case .unknown: HTTPProblem(404, "there is no such subscription: PUT it first")
        case .tooMany(let count):
            HTTPProblem(409, "there are \(count) subscriptions, and no more may be (server.subscriptions)")
        case .uncleared(let clearance):
            HTTPProblem(403, "readers see classes up to \(clearance.highest.rawValue) only (server.clearance)")
        case .failure(let failure): HTTPProblem(failure)
        }
    }

    private static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= 40, (0x61...0x7A).contains(first) else { return false }
        return bytes.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5F || byte == 0x2D
        }
    }
}

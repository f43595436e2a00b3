package import Broker
package import ConnectorKit
internal import EventFormat
import EventLog
import JSONText

/// The events of the log over HTTP: as server-sent events, or as lines of JSON.
///
/// See `docs/reference/http.md`.
package struct EventsAPI: Sendable {
    let desk: EventDesk
    let clearance: Clearance

    /// The interface to a log, for readers of whom nobody sees more than the clearance allows.
    package init(_ desk: EventDesk, clearance: Clearance) {
        self.desk = desk
        self.clearance = clearance
    }

    /// Everything that readers ask for.
    package var routes: [Route] {
        [Route(.get, "v1/events") { request, _ throws(HTTPProblem) in try await stream(request) }]
    }

    /// What a program without a log says to those who ask for events.
    package static let absent: [Route] = [APIRequest.Method.get, .put, .post, .delete].flatMap { method in
        [
            "v1/events", "v1/subscriptions", "v1/subscriptions/{}", "v1/subscriptions/{}/{}",
            "v1/subscriptions/{}/{}/{}",
        ].map { pattern in
            Route(method, pattern) { _, _ throws(HTTPProblem) in
                throw HTTPProblem(
                    404, "millrace schema serve has no log: ask the listener of millrace run for events")
            }
        }
    }

    private func stream(_ request: APIRequest) async throws(HTTPProblem) -> APIReply {
        let asked = try EventQuery(request, clearance: clearance)
        let stream: EventStream
        do throws(ConnectorFailure) {
            stream = try await desk.stream(asked.request)
        } catch {
            throw await problem(error)
        }
        let desk = desk
        let reply = ReplyStream {
            switch await stream.next() {
            case .piece(let bytes): .piece(bytes)
            case .end: .end
            case .broken: .broken
            }
        } end: {
            desk.close(stream)
        }
        return APIReply(reply, contentType: asked.contentType, fields: [APIReply.Field("X-Accel-Buffering", "no")])
    }

    /// A failure as the answer to a request.
    func problem(_ failure: ConnectorFailure) async -> HTTPProblem {
        var problem = HTTPProblem(failure)
        if failure.code == LogReader.retainedAwayCode, let first = try? await desk.bounds().lowerBound {
            problem.members.append(JSONObject.Member(name: "earliest", value: .number(JSONNumber(first))))
        }
        return problem
    }
}

extension HTTPProblem {
    /// A failure of the log, or of those who read it.
    init(_ failure: ConnectorFailure) {
        let status =
            switch failure.code {
            case LogReader.retainedAwayCode: 410
            case EventLog.unknownSubscriptionCode: 404
            case "events.other_log", "events.not_in_log": 409
            // To come again helps only where time does.
            default: failure.remedy == .retry ? 503 : 500
            }
        var message = failure.message
        if let hint = failure.hint { message += "; " + hint }
        self.init(status, message, fields: status == 503 ? [APIReply.Field("Retry-After", "1")] : [])
        members = [JSONObject.Member(name: "code", value: .string(failure.code))]
    }
}

/// The parameters of a request for events.
struct EventQuery {
    var request = EventDesk.Request()
    var contentType = "application/x-ndjson"

    private static let names: Set<String> = ["tables", "from", "format", "limit", "follow", "types", "places"]

    /// Reads the parameters. Throws 400 for one that is unknown, repeated or makes no sense: what is passed over in
    /// silence would show other events than those that were asked for.
    init(_ call: APIRequest, clearance: Clearance) throws(HTTPProblem) {
        try call.refuseUnknown(Self.names)
        let isServerSent = call.accept.lowercased().contains("text/event-stream")
        request.view.clearance = clearance
        if let text = call.query["tables"] {
            request.view.tables = try Self.tables(text)
        }
        if let text = call.query["format"] { request.view.format = try Self.format(text) }
        if let text = call.query["from"] { request.from = try Self.start(text) }
        if let text = call.query["limit"] {
            guard let count = Int(text), count > 0 else { throw HTTPProblem(400, "limit is no number above 0") }
            request.countMax = count
        }
        request.follows = try call.truth("follow") ?? isServerSent
        if let text = call.lastEventID, !text.isEmpty {
            guard let place = LogPlace(text) else {
                throw HTTPProblem(400, "Last-Event-ID is none of the ids that /v1/events gives")
            }
            request.last = place
        }
        let (isNamed, isPlaced) = (try call.truth("types"), try call.truth("places"))
        if isServerSent {
            contentType = "text/event-stream"
            request.form = .serverSent(isNamed: isNamed ?? true)
        } else {
            request.form = .lines(isPlaced: isPlaced ?? false)
        }
    }

    static func tables(_ text: String) throws(HTTPProblem) -> [TablePattern] {
        guard let tables = EventView.tables(text), tables.count <= tableCountMax else {
            throw HTTPProblem(400, "tables are patterns such as public.orders or public.*, with commas between them")
        }
        return tables
    }
    static let tableCountMax = 100

    static func format(_ text: String) throws(HTTPProblem) -> EventFormat {
        guard let format = EventFormat(rawValue: text), EventView.formats.contains(format) else {
            let words = EventView.formats.map(\.rawValue).joined(separator: ", ")
            throw HTTPProblem(400, "format is one of \(words)")
        }
        return format
    }

    static func start(_ text: String) throws(HTTPProblem) -> StartPosition {
        guard let start = StartPosition(text) else { throw HTTPProblem(400, "from is \(StartPosition.words)") }
        return start
    }
}

extension APIRequest {
    /// Throws 400 for parameters that are not among the names, or come more than once.
    func refuseUnknown(_ names: Set<String>) throws(HTTPProblem) {
        if let name = query.keys.filter({ !names.contains($0) }).min() {
            let known = names.isEmpty ? "there are none here" : "there are \(names.sorted().joined(separator: ", "))"
            throw HTTPProblem(400, "\"\(name)\" is no parameter of this path: \(known)")
        }
        if hasUnreadableParameters {
            throw HTTPProblem(400, "a parameter holds a % that begins no escape of UTF-8 text")
        }
        if let name = repeated.min() { throw HTTPProblem(400, "the parameter \"\(name)\" comes more than once") }
    }

    /// A parameter that is `true` or `false`; nil without it.
    func truth(_ name: String) throws(HTTPProblem) -> Bool? {
        switch query[name] {
        case nil: return nil
        case "true", "": return true
        case "false": return false
        default: throw HTTPProblem(400, "\(name) is true or false")
        }
    }
}

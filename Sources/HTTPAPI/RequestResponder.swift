import HTTPTypes
import HummingbirdCore
import NIOCore
private import Synchronization

/// Answers one request after the other of every connection: who asks, what for, the body within its bounds, the route,
/// and the answer in the form that the client takes.
struct RequestResponder: Sendable {
    private let routes: RouteTable
    private let access: AccessRule
    private let limits: ListenerLimits
    private let bodies: ByteBudget
    private let counter = ReplyCounter()
    /// The connections, for who waits for an answer on them.
    let table: ConnectionTable

    init(routes: RouteTable, access: AccessRule, limits: ListenerLimits) {
        self.routes = routes
        self.access = access
        self.limits = limits
        table = ConnectionTable(countMax: limits.connectionCountMax)
        bodies = ByteBudget(limits.bodiesBytesMax)
    }

    /// Answers so far, by the first digit of their status.
    var replyCounts: [Int: UInt64] { counter.counts }

    /// Counts an answer that was given before this one could be asked.
    func count(_ status: Int) { counter.count(status) }

    /// Reads a request, and writes its answer.
    func respond(to request: Request, by writer: consuming ResponseWriter, on channel: any Channel) async throws {
        let head = request.head
        let watch = table.watch(of: channel)
        var reply: APIReply
        do throws(HTTPProblem) {
            let (call, match) = try route(head)
            reply = try await answer(call, match, request, writer, watch)
        } catch {
            reply = APIReply(error)
        }
        counter.count(reply.status)
        let fields = reply.headerFields(accepting: head.headerFields[values: .accept].joined(separator: ","))
        var answer = HTTPResponse(status: .init(code: reply.status), headerFields: fields)
        if head.method == .head {
            reply.stream?.end()
            if reply.stream != nil { answer.headerFields[.contentLength] = "0" }
            try await writer.writeResponse(answer)
        } else if let stream = reply.stream {
            defer { stream.end() }
            stream.cut.begin { channel.close(promise: nil) }
            try await write(stream, answer, writer, watch)
            // One that was cut this late has its whole answer, but a further request would be lost.
            if !stream.cut.finish() { throw ChannelError.eof }
        } else {
            try await writer.write(response: answer, body: ResponseBody(byteBuffer: ByteBuffer(bytes: reply.body)))
        }
    }

    /// Writes a stream as fast as the client takes it, which is what each write waits for.
    private func write(
        _ stream: ReplyStream, _ head: HTTPResponse, _ writer: consuming ResponseWriter, _ watch: ClientWatch
    ) async throws {
        var body = try await writer.writeHead(head)
        while true {
            switch await watch.run({ await stream.next() }) {
            case .piece(let bytes):
                var rest = bytes[...]
                while !rest.isEmpty {
                    let piece = rest.prefix(limits.streamPieceBytes)
                    rest = rest.dropFirst(piece.count)
                    try await body.write(ByteBuffer(bytes: piece))
                }
            case .end: return try await body.finish(nil)
            // The end that HTTP has for a whole answer is left out, so that the client knows.
            case .broken: throw ChannelError.eof
            }
        }
    }

    /// Who asks, and what for: all that is decided before any body is read.
    private func route(_ head: HTTPRequest) throws(HTTPProblem) -> (APIRequest, RouteTable.Match) {
        let name = head.method == .head ? "GET" : head.method.rawValue
        let method = APIRequest.Method(rawValue: name)
        var call = try APIRequest(method ?? .get, target: Self.originForm(head.path ?? ""))
        call.accept = head.headerFields[values: .accept].joined(separator: ",")
        call.lastEventID = Self.lastEventID.flatMap { head.headerFields[$0] }
        call.acceptsMore = Self.acceptsMore.contains { head.headerFields[$0]?.lowercased() == "true" }
        let credentials = AccessRule.Credentials(
            authorization: head.headerFields[.authorization], host: head.authority,
            origin: head.headerFields[.origin])
        let found = Result { () throws(HTTPProblem) in try routes.match(call) }
        if let match = try? found.get(), match.route.isOpen, method != nil { return (call, match) }
        // Who may not ask learns nothing about paths.
        try access.check(method ?? .post, credentials)
        let match = try found.get()
        guard method != nil else { throw HTTPProblem(501, "there is no such method here") }
        return (call, match)
    }

    /// What clients of registries say when they were made to ignore members that they do not know.
    private static let acceptsMore = ["", "X-"].compactMap {
        HTTPField.Name($0 + "Confluent-Accept-Unknown-Properties")
    }

    private static let lastEventID = HTTPField.Name("Last-Event-ID")

    /// The part of a target behind the host: clients may send the whole address, as they do to proxies.
    private static func originForm(_ target: String) -> String {
        guard !target.hasPrefix("/"), let place = target.firstRange(of: "://") else { return target }
        let rest = target[place.upperBound...]
        return String(rest[(rest.firstIndex(of: "/") ?? rest.endIndex)...])
    }

    private func answer(
        _ call: APIRequest, _ match: RouteTable.Match, _ request: Request, _ writer: borrowing ResponseWriter,
        _ watch: ClientWatch
    ) async throws(HTTPProblem) -> APIReply {
        guard call.method == .post || call.method == .put else { return try await answer(call, match, watch) }
        if !match.route.takesAnyType { try checkContentType(request.headers[.contentType]) }
        var claim = try claim(request.headers)
        guard bodies.take(claim) else {
            throw HTTPProblem(
                503, "too many requests are being read", fields: [APIReply.Field("Retry-After", "1")])
        }
        defer { bodies.giveBack(claim) }
        var call = call
        if request.headers[.expect]?.lowercased() == "100-continue" {
            try? await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        call.body = try await body(of: request)
        // The answer may take its time: what the body turned out not to need is for others meanwhile.
        bodies.giveBack(claim - call.body.count)
        claim = call.body.count
        return try await answer(call, match, watch)
    }

    private func answer(
        _ call: APIRequest, _ match: RouteTable.Match, _ watch: ClientWatch
    ) async throws(HTTPProblem) -> APIReply {
        guard match.route.isPatient else { return try await match.route.answer(call, match.parts) }
        return try await watch.run { () async -> Result<APIReply, HTTPProblem> in
            do throws(HTTPProblem) {
                return .success(try await match.route.answer(call, match.parts))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    /// JSON under the names that clients of registries use, or without a name.
    private func checkContentType(_ field: String?) throws(HTTPProblem) {
        guard let field else { return }
        let type = field.prefix { $0 != ";" && $0 != "," }.lowercased().filter { $0 != " " }
        guard type.isEmpty || APIReply.jsonTypes.contains(type) else {
            throw HTTPProblem(415, "the body is to be one of \(APIReply.jsonTypes.joined(separator: ", "))")
        }
    }

    /// How many bytes a body may come to have. Throws 413 when it says that it is too long.
    private func claim(_ fields: HTTPFields) throws(HTTPProblem) -> Int {
        guard let text = fields[.contentLength] else { return limits.bodyBytesMax }
        guard let count = Int(text), count >= 0 else { throw HTTPProblem(400, "Content-Length is no number") }
        guard count <= limits.bodyBytesMax else { throw tooLarge }
        return count
    }

    private var tooLarge: HTTPProblem { HTTPProblem(413, "the body is longer than \(limits.bodyBytesMax) bytes") }

    private func body(of request: Request) async throws(HTTPProblem) -> [UInt8] {
        var bytes: [UInt8] = []
        var parts = request.body.makeAsyncIterator()
        while true {
            let part: ByteBuffer?
            do { part = try await parts.next() } catch { throw HTTPProblem(400, "the body broke off") }
            guard let part else { return bytes }
            guard bytes.count + part.readableBytes <= limits.bodyBytesMax else { throw tooLarge }
            bytes += part.readableBytesView
        }
    }
}

extension APIReply {
    /// The names of JSON that clients of registries use, the first one unless they ask for another.
    static let jsonTypes = [
        "application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json",
    ]

    fileprivate func headerFields(accepting accept: String) -> HTTPFields {
        let preferred = Self.jsonTypes.first { accept.contains($0) } ?? Self.jsonTypes[0]
        var result: HTTPFields = [
            .contentType: contentType ?? preferred, .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
        ]
        if stream == nil { result[.contentLength] = "\(body.count)" }
        for field in fields {
            if let name = HTTPField.Name(field.name) { result[name] = field.value }
        }
        return result
    }
}

/// Counts answers by the first digit of their status.
private final class ReplyCounter: Sendable {
    private let numbers = Mutex<[Int: UInt64]>([:])

    var counts: [Int: UInt64] { numbers.withLock { $0 } }

    func count(_ status: Int) { numbers.withLock { $0[status / 100, default: 0] += 1 } }
}

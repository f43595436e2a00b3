import JSONText
import NIOCore
import NIOHTTP1

/// What RFC 9112 asks of a server before a request is looked at: one valid `Host`, a method and a form that it knows,
/// and connections that end when the client does not keep them. Belongs to one connection and runs on its event loop.
///
/// What is refused here is refused like everything else: with a status, a problem in JSON, and the end of the
/// connection.
final class HeadGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// A request that is not answered to its end.
    private struct Exchange {
        /// HTTP/1.0 or older: no chunks and no informational answers.
        var isOld: Bool
        /// The connection ends behind its answer.
        var isLast: Bool
    }

    private let lingerTime: TimeAmount
    private let refused: (Int) -> Void
    private var exchanges: [Exchange] = []
    /// True while the body of the newest request may go on.
    private var isReadingBody = false
    /// True once nothing more is read.
    private var isOver = false
    /// True once nothing more is written.
    private var isAnswered = false
    /// What to answer behind the answers that are due.
    private var refusal: HTTPProblem?

    init(_ limits: ListenerLimits, refused: @escaping (Int) -> Void) {
        lingerTime = TimeAmount(limits.lingerTime)
        self.refused = refused
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isOver, !isReadingBody { return }
        switch unwrapInboundIn(data) {
        case .head(var head):
            if let problem = Self.problem(with: head) { return refuse(problem, context) }
            let isOld = head.isOld
            let isLast = isOld || head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "close" }
            if isLast { head.headers.replaceOrAdd(name: "connection", value: "close") }
            exchanges.append(Exchange(isOld: isOld, isLast: isLast))
            isReadingBody = true
            isOver = isLast
            context.fireChannelRead(wrapInboundOut(.head(head)))
        case .body: context.fireChannelRead(data)
        case .end:
            isReadingBody = false
            context.fireChannelRead(data)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
        if isReadingBody {
            // Who reads the body is told, and answers.
            if let newest = exchanges.indices.last { exchanges[newest].isLast = true }
            context.fireErrorCaught(error)
        } else if !isOver {
            refuse(Self.problem(of: error), context)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isAnswered else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let exchange = exchanges.first
        switch unwrapOutboundIn(data) {
        case .head(var head):
            if exchange?.isOld == true {
                if (100..<200).contains(head.status.code) {
                    promise?.succeed()
                    return
                }
                head.version = .http1_0
            }
            if exchange?.isLast == true { head.headers.replaceOrAdd(name: "connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            if !exchanges.isEmpty { exchanges.removeFirst() }
            if exchange?.isLast == true { return writeLast(data, promise, context) }
            context.write(data, promise: promise)
            if exchanges.isEmpty, let refusal { answer(refusal, context) }
        }
    }

    /// Answers now, or behind the answers that are due.
    private func refuse(_ problem: HTTPProblem, _ context: ChannelHandlerContext) {
        isOver = true
        if exchanges.isEmpty { answer(problem, context) } else { refusal = problem }
    }

    private func answer(_ problem: HTTPProblem, _ context: ChannelHandlerContext) {
        refused(problem.status)
        let body = Array(problem.json.compactText.utf8)
        let fields = [
            ("content-type", "application/json"), ("content-length", "\(body.count)"), ("connection", "close"),
            ("cache-control", "no-store"),
        ]
        let head = HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: problem.status), headers: HTTPHeaders(fields))
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        writeLast(wrapOutboundOut(.end(nil)), nil, context)
        context.flush()
    }

    /// Writes the end of the last answer. What the client still sends is thrown away for a moment, so that it sees the
    /// answer; then the connection is cut.
    private func writeLast(_ data: NIOAny, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) {
        isAnswered = true
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.cascade(to: promise)
        let (loop, time) = (context.eventLoop.assumeIsolated(), lingerTime)
        written.futureResult.assumeIsolated().whenComplete { _ in
            context.close(mode: .output, promise: nil)
            loop.scheduleTask(in: time) { context.close(promise: nil) }
        }
        context.write(data, promise: written)
    }
}

// MARK: - What is refused

extension HeadGuard {
    /// Why a head is refused whoever sends it; nil for one that may be looked at.
    private static func problem(with head: HTTPRequestHead) -> HTTPProblem? {
        if head.method == .CONNECT { return HTTPProblem(501, "there is no such method here") }
        let hosts = head.headers["host"]
        if hosts.count > 1 { return HTTPProblem(400, "the request has more than one Host") }
        guard let host = hosts.first else {
            return head.isOld ? nil : HTTPProblem(400, "the request has no Host, which HTTP/1.1 requires")
        }
        return isHost(host) ? nil : HTTPProblem(400, "the request's Host is no host with or without a port")
    }

    /// True for what may stand in a `Host` (RFC 9110, section 7.2): a name or address, maybe with a port. Empty is
    /// valid too.
    private static func isHost(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "-._~!$&'()*+;=:[]%".utf8.contains(byte)
            }
        }
    }

    /// The answer to bytes that are no request.
    private static func problem(of error: HTTPParserError) -> HTTPProblem {
        switch error {
        case .invalidMethod: HTTPProblem(501, "there is no such method here")
        case .headerOverflow: HTTPProblem(431, "the head of the request is too large")
        case .invalidVersion: HTTPProblem(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        default: HTTPProblem(400, "these bytes are no HTTP request")
        }
    }
}

extension HTTPRequestHead {
    /// HTTP/1.0 or older.
    fileprivate var isOld: Bool { version.major < 1 || version.major == 1 && version.minor < 1 }
}

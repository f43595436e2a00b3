import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Bounds the time that a connection takes, whatever the client does: send nothing, send its body a byte at a time, or
/// never take its answer. Belongs to one connection and runs on its event loop.
///
/// A client that was answered before it had sent its whole request gets the rest of it thrown away for a moment, so
/// that it sees the answer, and is cut off then. An answer without a length is a stream: it may go on for ever, as long
/// as the client takes what is written.
final class ExchangeGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: ListenerLimits
    private let table: ConnectionTable
    /// Requests whose answer is not written to its end.
    private var openCount = 0
    /// True while a request's body may go on.
    private var isReading = false
    /// True while a stream is answered.
    private var isStreaming = false
    /// Parts of a stream that the client has not taken.
    private var pendingCount = 0
    private var deadline: Scheduled<Void>?

    init(_ limits: ListenerLimits, _ table: ConnectionTable) {
        self.limits = limits
        self.table = table
    }

    func handlerAdded(context: ChannelHandlerContext) {
        table.opened(context.channel)
        closeConnection(in: limits.headTime, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        cancelDeadline()
        table.closed(context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) {
        cancelDeadline()
        table.closed(context.channel)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { table.left(context.channel) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            openCount += 1
            isReading = true
            table.asked(context.channel)
            if openCount == 1 { closeConnection(in: limits.exchangeTime, context) }
        case .body: break
        case .end: isReading = false
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            if head.status.kind != .informational, head.headerFields[.contentLength] == nil {
                isStreaming = true
                cancelDeadline()
            }
            context.write(data, promise: promise)
        case .body where isStreaming:
            pendingCount += 1
            if pendingCount == 1 { closeConnection(in: limits.stallTime, context) }
            write(data, promise, context) { self.taken(context) }
        case .body: context.write(data, promise: promise)
        case .end: write(data, promise, context) { self.answered(context) }
        }
    }

    private func write(
        _ data: NIOAny, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext,
        then next: @escaping () -> Void
    ) {
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.cascade(to: promise)
        written.futureResult.assumeIsolated().whenComplete { _ in next() }
        context.write(data, promise: written)
    }

    /// The client took a part of a stream.
    private func taken(_ context: ChannelHandlerContext) {
        pendingCount = max(0, pendingCount - 1)
        guard isStreaming else { return }
        if pendingCount > 0 { closeConnection(in: limits.stallTime, context) } else { cancelDeadline() }
    }

    /// The client has the whole answer, or is gone.
    private func answered(_ context: ChannelHandlerContext) {
        openCount = max(0, openCount - 1)
        isStreaming = false
        table.answered(context.channel)
        if isReading && openCount == 0 {
            context.close(mode: .output, promise: nil)
            closeConnection(in: limits.lingerTime, context)
        } else if openCount > 0 {
            closeConnection(in: limits.exchangeTime, context)
        } else {
            cancelDeadline()
        }
    }

    private func cancelDeadline() {
        deadline?.cancel()
        deadline = nil
    }

    private func closeConnection(in time: Duration, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) {
            context.close(promise: nil)
        }
    }
}

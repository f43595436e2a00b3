import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Bounds the time that one request may take, whatever the client does: send its body a byte at a time, or never take
/// its answer. Belongs to one connection and runs on its event loop.
///
/// A client that was answered before it had sent its whole request gets the rest of it thrown away for a moment, so
/// that it sees the answer, and is cut off then.
final class ExchangeGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let exchangeTime: TimeAmount
    private let lingerTime: TimeAmount
    /// Requests whose answer is not written to its end.
    private var openCount = 0
    /// True while a request's body may go on.
    private var isReading = false
    private var deadline: Scheduled<Void>?

    init(_ limits: ListenerLimits) {
        exchangeTime = TimeAmount(limits.exchangeTime)
        lingerTime = TimeAmount(limits.lingerTime)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            openCount += 1
            isReading = true
            if openCount == 1 { closeConnection(in: exchangeTime, context) }
        case .body: break
        case .end: isReading = false
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.cascade(to: promise)
        written.futureResult.assumeIsolated().whenComplete { _ in self.answered(context) }
        context.write(data, promise: written)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
    }

    /// The client has the whole answer, or is gone.
    private func answered(_ context: ChannelHandlerContext) {
        openCount = max(0, openCount - 1)
        if isReading && openCount == 0 {
            context.close(mode: .output, promise: nil)
            closeConnection(in: lingerTime, context)
        } else if openCount > 0 {
            closeConnection(in: exchangeTime, context)
        } else {
            deadline?.cancel()
            deadline = nil
        }
    }

    private func closeConnection(in time: TimeAmount, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) { context.close(promise: nil) }
    }
}

import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// How a connection is set up: HTTP/1.1 with the bounds of its heads, the rules that come before any request is looked
/// at (``HeadGuard``), and the bounds of its time (``ExchangeGuard``).
struct ConnectionChannel: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder
    let limits: ListenerLimits
    let table: ConnectionTable
    /// Is told the status of what is answered before any request is looked at.
    let refused: @Sendable (Int) -> Void

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        // A client whose machine is gone is noticed while nothing is sent to it.
        for (option, value) in Self.signsOfLife { _ = channel.setOption(option, value: value) }
        return channel.eventLoop.makeCompletedFuture {
            let operations = channel.pipeline.syncOperations
            var decoder = NIOHTTPDecoderLimitConfiguration()
            decoder.maxHeaderFieldSize = limits.fieldBytesMax
            decoder.maxHeaderListSize = limits.headBytesMax
            decoder.maxHeaderFieldCount = limits.fieldCountMax
            try operations.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
                withEncoderConfiguration: .init(), withDecoderLimitConfiguration: decoder)
            try operations.addHandler(HeadGuard(limits, refused: refused))
            try operations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
            try operations.addHandler(ExchangeGuard(limits, table))
            try operations.addHandler(HTTPConnectionStateHandler(idleTimeout: limits.idleTime, logger: logger))
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    func handle(value: Value, logger: Logger) async { await handleHTTP(asyncChannel: value, logger: logger) }

    private static let signsOfLife: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] = [
        (ChannelOptions.socketOption(.so_keepalive), 1),
        (.init(level: .tcp, name: .init(rawValue: keepAliveIdle)), 30),
        (.init(level: .tcp, name: .init(rawValue: keepAliveInterval)), 10),
        (.init(level: .tcp, name: .init(rawValue: keepAliveCount)), 3),
        // The system holds no more for a client that takes its time, so that what it takes shows at once: with buffers
        // of megabytes, a slow reader seems to take nothing for minutes.
        (.init(level: .tcp, name: .init(rawValue: unsentBytes)), 128 << 10),
    ]
    /// TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT of tcp(7): after how many seconds of silence a sign of life is asked
    /// for, how many seconds later again, and how often.
    private static let (keepAliveIdle, keepAliveInterval, keepAliveCount): (CInt, CInt, CInt) = (4, 5, 6)
    /// TCP_NOTSENT_LOWAT: how many bytes wait for being sent at most.
    private static let unsentBytes: CInt = 25
}

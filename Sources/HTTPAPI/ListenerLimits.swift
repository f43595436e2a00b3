/// The bounds of the listener. Together they bound its memory and what strangers can hold of it: whatever a client
/// does, its connection ends.
package struct ListenerLimits: Sendable {
    /// Connections at a time. When another one comes, the oldest one on which nothing is asked is closed; while all are
    /// busy, it waits in the system's queue.
    var connectionCountMax = 256
    /// How long the system's queue is.
    var backlog = 256
    /// How long a new connection may be without a whole request head.
    var headTime = Duration.seconds(10)
    /// How long a connection may be without another request behind an answer.
    var idleTime = Duration.seconds(30)
    /// How long a request and its answer may take, from the end of its head to the last byte that the client takes.
    var exchangeTime = Duration.seconds(60)
    /// How long the client of a stream may take nothing of what was written to it.
    package var stallTime = Duration.seconds(30)
    /// How many bytes of a stream are written at a time: what a client must take within the time above.
    let streamPieceBytes = 64 << 10
    /// How long what a client still sends is thrown away after it was answered, before the connection is cut.
    var lingerTime = Duration.seconds(2)
    /// The longest header field, in bytes.
    var fieldBytesMax = 16 << 10
    /// The longest head of a request, in bytes.
    var headBytesMax = 64 << 10
    /// The most header fields of a request.
    var fieldCountMax = 100
    /// The longest body of a request, in bytes.
    var bodyBytesMax = 1 << 20
    /// The most bytes of bodies that are held at a time. A request that would exceed it is asked to come again.
    var bodiesBytesMax = 32 << 20

    package static let usual = ListenerLimits()
}

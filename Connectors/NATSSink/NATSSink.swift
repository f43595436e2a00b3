import ByteKit
import ChangeModel
package import ConnectorKit
import Glibc

/// Publishes records to a JetStream stream, each once and in order, whatever becomes of servers, network and process.
///
/// Many messages are on their way at a time. Two things keep them in order. Where nobody else publishes to the stream,
/// each message names the sequence that it must follow, so that the server refuses whatever comes behind a gap; else
/// one message is on its way for each subject. And nothing is published again of which it is not known whether it is
/// stored: the sink connects anew, reads what lies in the stream behind the last sequence that is stored beside the
/// cursor, and goes on behind it. See docs/decisions/0025-nats.md.
package actor NATSSink: EventSink {
    private let thread = BlockingThread(name: "nats-sink")
    /// The sink's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    /// How much of an event it wants in a payload.
    package nonisolated var form: RecordForm { settings.isBinary || settings.sendsRecordHeaders ? .binary : .line }

    /// What is in the stream behind the cursor is published again, and a stream that vanished is made anew.
    package static var forgetsAtReplay: Bool { true }

    let settings: NATSSettings
    private let contentType: StaticString?
    private var session: PublishingSession?
    private var saveState: (@Sendable ([UInt8]) async throws(ConnectorFailure) -> Void)?
    /// Which server is tried first.
    private var nextServer = 0
    /// True once the sink worked: from then on it keeps trying, since what worked may work again.
    private var isEstablished = false
    /// Until when messages may still come that were on their way when a connection ended.
    private var copiesUntil = ContinuousClock.now

    /// A sink for checked settings. `contentType` is that of payloads which are whole events. With `hasHeaders`,
    /// records have keys and headers, which become headers of messages.
    package init(_ settings: NATSSettings, contentType: StaticString, hasHeaders: Bool = false) {
        var settings = settings
        settings.sendsRecordHeaders = hasHeaders && !settings.isBinary
        self.settings = settings
        self.contentType = settings.isBinary ? nil : contentType
    }

    /// Connects to the first server that takes the connection, checks or makes the stream, and reads what an
    /// interruption left behind the cursor.
    package func open(_ context: SinkContext) async throws(ConnectorFailure) {
        endSession()
        if context.state != nil { isEstablished = true }
        do {
            let connection = try connect()
            let state: SinkState? = if let bytes = context.state { try SinkState(decoding: bytes) } else { nil }
            let hadMessages = state?.hadMessages(before: context.nextOffset) ?? false
            let preparation = StreamPreparation(settings, connection)
            let stream = try preparation.facts(for: context.name, hadMessages: hadMessages)
            let session = PublishingSession(settings, connection, contentType: contentType)
            if let news = session.begin(context, state, stream) {
                try checkCopies(before: news, state)
                try await context.saveState(news.encoded)
            }
            try session.readTail(stream)
            self.session = session
            saveState = context.saveState
            isEstablished = true
        } catch {
            throw located(error, context.name)
        }
    }

    /// Publishes the records, and waits for the answers to all of them when that is required.
    package func write(
        _ batch: RecordBatch, _ durability: Durability
    ) async throws(ConnectorFailure) -> DeliveryReceipt {
        guard let session else { throw NATSFailure.notOpen }
        do {
            try session.take(batch)
            if let news = session.stateBeforeSending() { try await saveState?(news.encoded) }
            let receipt = try session.deliver(all: durability == .required)
            if durability == .required || receipt.durableBefore != nil { return receipt }
            return .accepted
        } catch {
            endSession()
            throw located(error, session.sinkName)
        }
    }

    /// Lets go of the connection. What has no answer is looked for at the next ``open(_:)``.
    package func close() async { endSession() }

    private func endSession() {
        if session?.hasUnanswered == true { copiesUntil = .now + settings.duplicateWindowMin }
        session = nil
    }

    /// Throws while a message may still come that was on its way, when its event is about to get another id. Where the
    /// stream keeps the order, such a message is refused for the gap before it.
    private func checkCopies(before news: SinkState, _ former: SinkState?) throws(ConnectorFailure) {
        guard settings.isShared, news.beginning != former?.beginning ?? 0, .now < copiesUntil else { return }
        throw NATSFailure.copiesMayCome(settings)
    }

    /// Each server once, beginning with the one that worked last. When none takes the connection, what the last one
    /// said decides, unless another one said more than that it cannot be reached.
    private func connect() throws(ConnectorFailure) -> NATSConnection {
        var failure: ConnectorFailure?
        for step in 0..<settings.servers.count {
            let place = (nextServer + step) % settings.servers.count
            do throws(ConnectorFailure) {
                let connection = try NATSConnection(settings, settings.servers[place])
                nextServer = place
                return connection
            } catch {
                if failure == nil || failure?.remedy == .retry { failure = error }
            }
        }
        // Another server first next time: one that takes connections but answers nothing must not be the only one.
        nextServer = (nextServer + 1) % settings.servers.count
        throw failure ?? NATSFailure.notOpen
    }

    /// The failure with the place of the setting in the whole configuration, and with the remedy that fits: a sink that
    /// worked before goes on trying.
    private func located(_ failure: ConnectorFailure, _ sink: String) -> ConnectorFailure {
        var located = failure
        if let setting = failure.setting { located.setting = "sinks.\(sink).nats.\(setting)" }
        if isEstablished, failure.code != NATSFailure.unknownState.code, failure.code != NATSFailure.badBatch.code {
            located.remedy = .retry
        }
        return located
    }
}

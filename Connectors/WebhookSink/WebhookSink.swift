package import ConnectorKit
private import CLibCurl
private import Glibc

/// Posts records to an HTTP endpoint, signed as Standard Webhooks describes: at least once each, under an id that never
/// changes, in the order of each key.
///
/// Requests are made and repeated on a thread of its own, see ``Courier``. ``write(_:_:)`` only waits for room, so that
/// a record that waits for another attempt holds up nothing but its lane, until the window is full.
package actor WebhookSink: EventSink {
    /// What the payload of a record is to be.
    package nonisolated let form: RecordForm
    /// True: requests are sent as soon as they can be.
    package nonisolated var deliversByItself: Bool { true }

    private let settings: WebhookSettings
    /// The type of the body of requests; nil where each brings its own.
    private let contentType: String?
    private var mailbox: Mailbox?
    private var scribe: HeadScribe?
    /// The sink's name in the configuration.
    private var name = ""

    /// How long a write waits for the endpoint.
    private static let patience = Duration.milliseconds(50)

    /// A sink for checked settings. With `isCloudEvents`, records are whole events in CloudEvents' JSON; with
    /// `hasHeaders` they have keys and headers, which become headers of requests of one event.
    package init(_ settings: WebhookSettings, isCloudEvents: Bool = true, hasHeaders: Bool = false) {
        var settings = settings
        settings.sendsRecordHeaders = hasHeaders && settings.mode == .structured
        self.settings = settings
        form = settings.mode == .binary || settings.sendsRecordHeaders ? .binary : .line
        contentType =
            switch settings.mode {
            case .binary: nil
            case _ where !isCloudEvents: "application/json"
            case .batch: "application/cloudevents-batch+json"
            case .structured: "application/cloudevents+json"
            }
    }

    deinit { mailbox?.abandon() }

    /// Starts the thread. Nothing is sent before the first record: an endpoint that is down is waited for.
    package func open(_ context: SinkContext) async throws(ConnectorFailure) {
        await close()
        name = context.name
        guard Self.isReady else { throw WebhookFailure.client("begin") }
        let mailbox = Mailbox(
            at: context.nextOffset, recordsMax: settings.windowRecordsMax, bytesMax: settings.windowBytesMax)
        scribe = try HeadScribe(settings, contentType: contentType)
        startThread(name: "webhook") { [settings, contentType] in
            Self.blockBrokenPipeSignal()
            do throws(ConnectorFailure) {
                var courier = try Courier(settings, contentType: contentType, mailbox: mailbox, context)
                courier.run()
            } catch {
                mailbox.fail(error)
            }
            mailbox.end()
        }
        self.mailbox = mailbox
    }

    /// Hands records over, and says how far all before them are delivered, and whether there is room for more. It waits
    /// a moment for the endpoint where there is none, or nothing was handed over. With `.required` it waits until
    /// everything is delivered, or the task is cancelled.
    package func write(
        _ batch: RecordBatch, _ durability: Durability
    ) async throws(ConnectorFailure) -> DeliveryReceipt {
        guard let mailbox else { throw WebhookFailure.notOpen }
        mailbox.put(try scribe?.parcel(of: batch) ?? Parcel(batch))
        guard durability == .required else {
            await mailbox.wait(for: batch.records.isEmpty ? .news : .room, until: .now + Self.patience)
            return try receipt(of: mailbox)
        }
        await mailbox.wait(for: .all, until: nil)
        let isDone = mailbox.isDone
        let receipt = try receipt(of: mailbox)
        guard isDone else { throw WebhookFailure.interrupted }
        return receipt
    }

    /// What the mailbox says, or its failure with the place of the setting in the whole configuration.
    private func receipt(of mailbox: Mailbox) throws(ConnectorFailure) -> DeliveryReceipt {
        do throws(ConnectorFailure) {
            return try mailbox.receipt()
        } catch {
            var located = error
            if let setting = error.setting { located.setting = "sinks.\(name).webhook.\(setting)" }
            throw located
        }
    }

    /// Breaks off what is on its way: it will be sent again.
    package func close() async {
        await mailbox?.close()
        mailbox = nil
    }

    /// libcurl is set up once, before any thread uses it.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// A connection that the other end has closed is an error of the call that writes to it, and no signal.
    private static func blockBrokenPipeSignal() {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGPIPE)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    }
}

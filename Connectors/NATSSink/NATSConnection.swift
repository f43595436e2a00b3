import ByteKit
import CNATS
import ChangeModel
import ConnectorKit
import Glibc

/// A connection to one server, with an inbox for the answers to what is published. Every call has a limit.
///
/// One thread uses it. It never connects again by itself: after a failure it is let go of.
@safe final class NATSConnection {
    private let settings: NATSSettings
    private let handle: OpaquePointer
    private let jetStream: OpaquePointer
    private let inbox: OpaquePointer
    /// `_INBOX.….`, the front of every reply subject; what follows is the number of the message.
    private let replyFront: String
    /// `$JS.API.`, or that of a domain.
    private let requestFront: String
    /// Texts for the client, each with a zero byte behind it.
    private var texts = OutputBuffer(capacity: 1024)

    private let server: ServerAddress

    /// The most bytes of headers and payload that the server takes in a message, as it said at the beginning.
    let messageBytesMax: Int

    /// Connects to the server.
    init(_ settings: NATSSettings, _ server: ServerAddress) throws(ConnectorFailure) {
        self.settings = settings
        self.server = server
        requestFront = settings.domain.map { "$JS.\($0).API." } ?? "$JS.API."
        let connection = unsafe try Self.connect(settings, server)
        do throws(ConnectorFailure) {
            unsafe (jetStream, inbox, replyFront) = try Self.prepare(connection, settings)
        } catch {
            unsafe natsConnection_Destroy(connection)
            throw error
        }
        unsafe handle = connection
        messageBytesMax = Int(unsafe natsConnection_GetMaxPayload(connection))
    }

    deinit {
        unsafe natsSubscription_Destroy(inbox)
        unsafe jsCtx_Destroy(jetStream)
        unsafe natsConnection_Close(handle)
        unsafe natsConnection_Destroy(handle)
    }

    private static func connect(
        _ settings: NATSSettings, _ server: ServerAddress
    ) throws(ConnectorFailure) -> OpaquePointer {
        let options = try ConnectionOptions(settings, server)
        var connection: OpaquePointer?
        let status = unsafe natsConnection_Connect(&connection, options.pointer)
        guard status == NATS_OK, let connection = unsafe connection else {
            throw NATSFailure.connecting(status, words(status), to: server)
        }
        return unsafe connection
    }

    /// What ``messageBytesMax`` would be of a connection that begins now. A server that was started again says its
    /// limit to new connections alone, and so does one that reads its configuration again.
    func presentMessageBytesMax() throws(ConnectorFailure) -> Int {
        let connection = unsafe try Self.connect(settings, server)
        defer {
            unsafe natsConnection_Close(connection)
            unsafe natsConnection_Destroy(connection)
        }
        return Int(unsafe natsConnection_GetMaxPayload(connection))
    }

    private static func prepare(
        _ connection: OpaquePointer, _ settings: NATSSettings
    ) throws(ConnectorFailure) -> (OpaquePointer, OpaquePointer, String) {
        var options = unsafe jsOptions()
        unsafe jsOptions_Init(&options)
        unsafe options.Wait = Int64(settings.connectTimeout.milliseconds)
        let domain = settings.domain.map(CText.init)
        if let domain { unsafe options.Domain = UnsafePointer(domain.start) }
        var context: OpaquePointer?
        var name: UnsafeMutablePointer<CChar>?
        var subscription: OpaquePointer?
        var status = unsafe natsConnection_JetStream(&context, connection, &options)
        if status == NATS_OK { status = unsafe natsInbox_Create(&name) }
        var front = ""
        if let name = unsafe name {
            front = unsafe String(cString: name) + "."
            unsafe natsInbox_Destroy(name)
            status = unsafe natsConnection_SubscribeSync(&subscription, connection, front + "*")
        }
        if status == NATS_OK { status = unsafe natsSubscription_SetPendingLimits(subscription, -1, -1) }
        guard status == NATS_OK, let context = unsafe context, let subscription = unsafe subscription else {
            unsafe natsSubscription_Destroy(subscription)
            unsafe jsCtx_Destroy(context)
            throw NATSFailure.lost(words(status))
        }
        return unsafe (context, subscription, front)
    }

    /// What the client says about a status that it just returned.
    static func words(_ status: natsStatus) -> String {
        var last = NATS_OK
        let text = unsafe nats_GetLastError(&last).map { unsafe String(cString: $0) } ?? ""
        let name = unsafe natsStatus_GetText(status).map { unsafe String(cString: $0) } ?? "unknown error"
        return last == status && !text.isEmpty && text != name ? "\(name) (\(text))" : name
    }

    // MARK: Publishing

    /// Which message must be the newest of the stream.
    enum Expectation {
        case any
        /// The one with a sequence.
        case sequence(UInt64)
        /// The one with the id of a record, since a beginning.
        case record(Record, of: RecordBatch, since: UInt64)
    }

    /// A message on its way out.
    struct Outgoing {
        /// The number that its answer comes back with.
        var number: UInt64
        /// What the newest message of the stream must be, or the server refuses this one.
        var expectation: Expectation
        var batch: RecordBatch
        var record: Record
        /// The beginning that its id names; 0 for none.
        var beginning: UInt64
        var contentType: StaticString?
    }

    /// Hands a message to the client, which sends it in the order of the calls.
    func publish(_ message: Outgoing, to subject: CText) throws(ConnectorFailure) {
        var made: OpaquePointer?
        let reply = append("\(replyFront)\(message.number)")
        let payload = message.batch.payload(of: message.record)
        var status = unsafe payload.withUnsafeBytes { bytes in
            unsafe natsMsg_Create(
                &made, subject.start, pointer(reply), bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                Int32(clamping: bytes.count))
        }
        guard status == NATS_OK, let made = unsafe made else { throw NATSFailure.lost(Self.words(status)) }
        defer { unsafe natsMsg_Destroy(made) }
        status = unsafe setHeaders(of: made, message)
        if status == NATS_OK { status = unsafe natsConnection_PublishMsg(handle, made) }
        guard status == NATS_OK else { throw failure(status) }
    }

    private func setHeaders(of made: OpaquePointer, _ message: Outgoing) -> natsStatus {
        texts.removeAll()
        let start = texts.count
        texts.append(messageID: message.batch.id(of: message.record), since: message.beginning)
        texts.append(0)
        var status = unsafe natsMsgHeader_Set(made, "Nats-Msg-Id", pointer(start))
        if status == NATS_OK { status = unsafe setExpectation(of: made, message.expectation) }
        if status == NATS_OK, let type = message.contentType {
            status = unsafe natsMsgHeader_Set(
                made, "Content-Type", UnsafeRawPointer(type.utf8Start).assumingMemoryBound(to: CChar.self))
        }
        let (record, batch) = (message.record, message.batch)
        guard status == NATS_OK, settings.sendsRecordHeaders || !record.attributes.isEmpty else { return status }
        texts.removeAll()
        var headers: [(Int, Int)] = []
        texts.append(attributeHeaders: batch.bytes(record.attributes)) { headers.append(($0, $1)) }
        if settings.sendsRecordHeaders { texts.append(headersOf: record, batch) { headers.append(($0, $1)) } }
        for (name, value) in headers where status == NATS_OK {
            status = unsafe natsMsgHeader_Set(made, pointer(name), pointer(value))
        }
        return status
    }

    private func setExpectation(of made: OpaquePointer, _ expectation: Expectation) -> natsStatus {
        let start = texts.count
        switch expectation {
        case .any: return NATS_OK
        case .sequence(let sequence):
            texts.append(decimal: sequence)
            texts.append(0)
            return unsafe natsMsgHeader_Set(made, "Nats-Expected-Last-Sequence", pointer(start))
        case .record(let record, let batch, let beginning):
            texts.append(messageID: batch.id(of: record), since: beginning)
            texts.append(0)
            return unsafe natsMsgHeader_Set(made, "Nats-Expected-Last-Msg-Id", pointer(start))
        }
    }

    private func append(_ text: String) -> Int {
        texts.removeAll()
        texts.append(utf8: text)
        texts.append(0)
        return 0
    }

    /// The text at a place of ``texts``, until they change.
    private func pointer(_ start: Int) -> UnsafePointer<CChar>? {
        unsafe UnsafePointer(bitPattern: texts.address(of: start))
    }

    /// The next answer with the number of its message; nil when there is none for so long.
    func nextAnswer(within limit: Duration) throws(ConnectorFailure) -> (number: UInt64, answer: PublishAnswer)? {
        var message: OpaquePointer?
        let status = unsafe natsSubscription_NextMsg(&message, inbox, Int64(limit.milliseconds))
        if status == NATS_TIMEOUT {
            if let refusal = refusal() { throw refusal }
            return nil
        }
        guard status == NATS_OK, let message = unsafe message else { throw failure(status) }
        defer { unsafe natsMsg_Destroy(message) }
        let number = unsafe natsMsg_GetSubject(message).map { unsafe strtoull($0 + replyFront.utf8.count, nil, 10) }
        if unsafe natsMsg_IsNoResponders(message) { return (number.map { UInt64($0) } ?? .max, .nobody) }
        return (number.map { UInt64($0) } ?? .max, PublishAnswer(unsafe Self.bytes(of: message)))
    }

    @_lifetime(immortal)
    private static func bytes(of message: OpaquePointer) -> RawSpan {
        let start = unsafe UnsafeRawPointer(natsMsg_GetData(message))
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: Int(natsMsg_GetDataLength(message)))
        return unsafe _overrideLifetime(RawSpan(_unsafeBytes: bytes), copying: ())
    }

    /// The failure for a status of the connection, which may have ended for a reason that the server gave.
    private func failure(_ status: natsStatus) -> ConnectorFailure {
        let words = Self.words(status)
        return refusal() ?? NATSFailure.lost(words)
    }

    /// What the server said on the side about permissions; nothing is answered to a message that they forbid.
    private func refusal() -> ConnectorFailure? {
        var text: UnsafePointer<CChar>?
        guard unsafe natsConnection_GetLastError(handle, &text) == NATS_NOT_PERMITTED, let words = unsafe text else {
            return nil
        }
        // The words name the subject, which may be made of a row's key.
        let isPublish = unsafe String(cString: words).lowercased().contains("publish")
        return NATSFailure.notPermitted(settings, isPublish ? "to publish" : "to subscribe")
    }

    // MARK: Questions

    /// What the stream is like.
    func streamFacts() throws(ConnectorFailure) -> StreamFacts {
        var info: UnsafeMutablePointer<jsStreamInfo>?
        var code = jsErrCode(0)
        let status = unsafe js_GetStreamInfo(&info, jetStream, settings.stream, nil, &code)
        guard status == NATS_OK, let info = unsafe info else { throw asking(status, code) }
        defer { unsafe jsStreamInfo_Destroy(info) }
        return unsafe StreamFacts(info)
    }

    /// Makes the stream.
    func makeStream(_ new: NATSSettings.NewStream) throws(ConnectorFailure) {
        var config = unsafe jsStreamConfig()
        unsafe jsStreamConfig_Init(&config)
        let (name, subject) = (CText(settings.stream), CText(settings.subject.pattern.text))
        unsafe config.Name = UnsafePointer(name.start)
        unsafe config.SubjectsLen = 1
        unsafe config.Replicas = Int64(new.replicas)
        unsafe config.Storage = new.isInMemory ? js_MemoryStorage : js_FileStorage
        unsafe config.MaxAge = new.ageMax.map { Int64($0.milliseconds) * 1_000_000 } ?? 0
        unsafe config.MaxBytes = new.bytesMax.map(Int64.init) ?? -1
        unsafe config.Duplicates = Int64(new.duplicateWindow.milliseconds) * 1_000_000
        var code = jsErrCode(0)
        var subjects: [UnsafePointer<CChar>?] = unsafe [UnsafePointer(subject.start)]
        let status = unsafe subjects.withUnsafeMutableBufferPointer { subjects in
            unsafe config.Subjects = subjects.baseAddress
            return unsafe js_AddStream(nil, jetStream, &config, nil, &code)
        }
        withExtendedLifetime((name, subject)) {}
        guard status == NATS_OK else { throw asking(status, code) }
    }

    private func asking(_ status: natsStatus, _ code: jsErrCode) -> ConnectorFailure {
        let words = Self.words(status)
        return refusal() ?? NATSFailure.asking(status, Int(code.rawValue), words, settings)
    }

    /// The first message from a sequence on whose subject fits the pattern; nil when there is none.
    func message(from sequence: UInt64, _ pattern: SubjectPattern) throws(ConnectorFailure) -> StoredMessage? {
        var answer: OpaquePointer?
        let question = "{\"seq\":\(sequence),\"next_by_subj\":\"\(pattern.text)\"}"
        let status = unsafe natsConnection_RequestString(
            &answer, handle, "\(requestFront)STREAM.MSG.GET.\(settings.stream)", question,
            Int64(settings.connectTimeout.milliseconds))
        guard status == NATS_OK, let answer = unsafe answer else { throw asking(status, jsErrCode(0)) }
        defer { unsafe natsMsg_Destroy(answer) }
        let bytes = unsafe Self.bytes(of: answer)
        if let stored = StoredMessage(bytes) { return stored }
        let code = Int(clamping: JSONFields(bytes).number("\"err_code\"") ?? 0)
        guard code == 10_037 else { throw NATSFailure.asking(NATS_ERR, code, "JetStream error \(code)", settings) }
        return nil
    }
}

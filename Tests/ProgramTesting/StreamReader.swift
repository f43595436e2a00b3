package import CNATS
private import Foundation

/// A message of a stream, as a consumer sees it.
package struct ReadMessage: Sendable, Equatable {
    /// Its sequence in the stream.
    package var sequence: UInt64
    /// Where it was published.
    package var subject: String
    /// Its bytes.
    package var payload: [UInt8]
    /// Its headers, the last of each name.
    package var headers: [String: String]
    /// The id that the server knows it again by; empty without one.
    package var id: String { headers["Nats-Msg-Id"] ?? "" }
    /// The payload as text.
    package var text: String { String(decoding: payload, as: UTF8.self) }
}

/// Reads and makes streams beside the sink, through libnats.
package final class StreamReader: @unchecked Sendable {
    private var connection: OpaquePointer?
    private var context: OpaquePointer?

    /// Connects to a server.
    package init(_ address: String, user: String? = nil, password: String? = nil) throws {
        var options: OpaquePointer?
        natsOptions_Create(&options)
        defer { natsOptions_Destroy(options) }
        natsOptions_SetURL(options, address)
        natsOptions_SetErrorHandler(options, { _, _, _, _ in }, nil)
        if let user { natsOptions_SetUserInfo(options, user, password) }
        try Self.check(natsConnection_Connect(&connection, options), "connect")
        var js = jsOptions()
        jsOptions_Init(&js)
        try Self.check(natsConnection_JetStream(&context, connection, &js), "JetStream")
    }

    deinit {
        jsCtx_Destroy(context)
        natsConnection_Destroy(connection)
    }

    /// Everything in a stream, in order.
    package func messages(of stream: String) throws -> [ReadMessage] {
        let state = try state(of: stream)
        var messages: [ReadMessage] = []
        for sequence in state.first..<max(state.first, state.last + 1) {
            var message: OpaquePointer?
            var code = jsErrCode(0)
            let status = js_GetMsg(&message, context, stream, sequence, nil, &code)
            if code.rawValue == 10_037 { continue }
            try Self.check(status, "message \(sequence)")
            defer { natsMsg_Destroy(message) }
            messages.append(Self.read(message, sequence))
        }
        return messages
    }

    private static func read(_ message: OpaquePointer?, _ sequence: UInt64) -> ReadMessage {
        var keys: UnsafeMutablePointer<UnsafePointer<CChar>?>?
        var count: Int32 = 0
        var headers: [String: String] = [:]
        if natsMsgHeader_Keys(message, &keys, &count) == NATS_OK, let keys {
            for index in 0..<Int(count) {
                var value: UnsafePointer<CChar>?
                guard let key = keys[index], natsMsgHeader_Get(message, key, &value) == NATS_OK, let value else {
                    continue
                }
                headers[String(cString: key)] = String(cString: value)
            }
            free(keys)
        }
        let length = Int(natsMsg_GetDataLength(message))
        let bytes = UnsafeRawBufferPointer(start: natsMsg_GetData(message), count: length)
        return ReadMessage(
            sequence: sequence, subject: natsMsg_GetSubject(message).map { String(cString: $0) } ?? "",
            payload: Array(bytes), headers: headers)
    }

    /// The first and the last sequence, and the leader's name in a cluster.
    package func state(of stream: String) throws -> (first: UInt64, last: UInt64, leader: String?) {
        var info: UnsafeMutablePointer<jsStreamInfo>?
        try Self.check(js_GetStreamInfo(&info, context, stream, nil, nil), "stream \(stream)")
        defer { jsStreamInfo_Destroy(info) }
        guard let info else { throw ChildFailure(description: "no stream") }
        let leader = info.pointee.Cluster.flatMap { $0.pointee.Leader }.map { String(cString: $0) }
        return (info.pointee.State.FirstSeq, info.pointee.State.LastSeq, leader)
    }

    /// Makes a stream.
    package func add(_ name: String, subjects: String, _ change: (inout jsStreamConfig) -> Void = { _ in }) throws {
        try withConfig(name, subjects, change) { config in js_AddStream(nil, context, &config, nil, nil) }
    }

    /// Changes a stream.
    package func update(_ name: String, subjects: String, _ change: (inout jsStreamConfig) -> Void = { _ in }) throws {
        try withConfig(name, subjects, change) { config in js_UpdateStream(nil, context, &config, nil, nil) }
    }

    /// Makes a stream that takes messages up to a length; -1 for any.
    package func add(_ name: String, subjects: String, messageBytesMax: Int32) throws {
        try add(name, subjects: subjects) { $0.MaxMsgSize = messageBytesMax }
    }

    /// Has a stream take messages up to a length; -1 for any.
    package func update(_ name: String, subjects: String, messageBytesMax: Int32) throws {
        try update(name, subjects: subjects) { $0.MaxMsgSize = messageBytesMax }
    }

    /// Deletes a message of a stream.
    package func remove(_ sequence: UInt64, from stream: String) throws {
        try Self.check(js_DeleteMsg(context, stream, sequence, nil, nil), "remove")
    }

    /// Deletes a stream.
    package func delete(_ name: String) throws { try Self.check(js_DeleteStream(context, name, nil, nil), "delete") }

    /// Publishes a message as somebody else would.
    package func publish(_ text: String, to subject: String, id: String? = nil) throws {
        var options = jsPubOptions()
        jsPubOptions_Init(&options)
        let name = strdup(id ?? "")
        defer { free(name) }
        if id != nil { options.MsgId = UnsafePointer(name) }
        try Self.check(
            js_Publish(nil, context, subject, text, Int32(text.utf8.count), &options, nil), "publish to \(subject)")
    }

    /// Has a stream that takes `NAME.>` forget all ids, as if its duplicate window had passed. Messages with the id
    /// `probe` stay behind.
    package func forgetIDs(of name: String) throws {
        try update(name, subjects: "\(name).>") { $0.Duplicates = 100_000_000 }
        try publish("x", to: "\(name).probe", id: "probe")
        let (first, end) = (try state(of: name).last, ContinuousClock.now + .seconds(120))
        while try state(of: name).last == first {
            guard ContinuousClock.now < end else { throw ChildFailure(description: "the stream forgets nothing") }
            try publish("x", to: "\(name).probe", id: "probe")
        }
        try update(name, subjects: "\(name).>") { $0.Duplicates = 120_000_000_000 }
    }

    private func withConfig(
        _ name: String, _ subjects: String, _ change: (inout jsStreamConfig) -> Void,
        _ call: (inout jsStreamConfig) -> natsStatus
    ) throws {
        var config = jsStreamConfig()
        jsStreamConfig_Init(&config)
        let (nameText, subjectText) = (strdup(name), strdup(subjects))
        defer {
            free(nameText)
            free(subjectText)
        }
        config.Name = UnsafePointer(nameText)
        config.SubjectsLen = 1
        change(&config)
        var list: [UnsafePointer<CChar>?] = [UnsafePointer(subjectText)]
        let status = list.withUnsafeMutableBufferPointer { list in
            config.Subjects = list.baseAddress
            return call(&config)
        }
        try Self.check(status, "stream \(name)")
    }

    private static func check(_ status: natsStatus, _ what: String) throws {
        guard status == NATS_OK else {
            var last = NATS_OK
            let words = nats_GetLastError(&last).map { String(cString: $0) } ?? ""
            throw ChildFailure(description: "\(what): \(String(cString: natsStatus_GetText(status))) \(words)")
        }
    }
}

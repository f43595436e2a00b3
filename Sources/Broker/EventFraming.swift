internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
internal import EventLog

/// Writes events into the pieces of a stream.
struct EventFraming {
    private let form: EventStream.Form
    /// The last change that was looked at, wanted or not, unless it was told already.
    private var untold: LogPlace?

    init(_ form: EventStream.Form) { self.form = form }

    private var isServerSent: Bool { if case .serverSent = form { true } else { false } }

    /// What a stream begins with.
    var greeting: [UInt8]? { isServerSent ? Array(": events follow\n\n".utf8) : nil }
    /// What a stream ends with that is ended from here.
    var farewell: [UInt8]? { isServerSent ? Array(": the server ends the stream\n\n".utf8) : nil }

    /// What is said while there are no events. Whoever comes back from here need not be shown again what it did not
    /// want.
    var signOfLife: [UInt8]? {
        mutating get {
            guard isServerSent else { return nil }
            defer { untold = nil }
            return Array((untold.map { ": still here\nid: \($0.text)\n\n" } ?? ": still here\n\n").utf8)
        }
    }

    /// How a failure is told; nil where the form has no room for it.
    func failure(_ failure: ConnectorFailure) -> [UInt8]? {
        guard isServerSent else { return nil }
        var output = OutputBuffer(capacity: 512)
        output.append("event: millrace.error\ndata: {\"code\":\"")
        output.append(utf8: failure.code)
        output.append("\",\"message\":")
        output.append(jsonString: failure.message)
        if let hint = failure.hint {
            output.append(",\"hint\":")
            output.append(jsonString: hint)
        }
        output.append("}\n\n")
        return output.list
    }

    /// The changes before an offset were looked at.
    mutating func looked(before offset: UInt64, in logged: LoggedBatch) {
        guard offset > logged.firstOffset, logged.contains(offset - 1) else { return }
        let identity = logged.batch.identity(at: Int(offset - 1 - logged.firstOffset))
        untold = LogPlace(offset: offset - 1, identity: identity)
    }

    /// The events of records.
    mutating func write(_ wanted: ArraySlice<Record>, of records: RecordBatch, _ logged: LoggedBatch) -> [UInt8] {
        var output = OutputBuffer(capacity: wanted.reduce(0) { $0 + Int($1.payload.length) + 160 })
        // A tombstone has no value: it says something to Kafka, and nothing here.
        for record in wanted where !record.payload.isEmpty {
            let place = LogPlace(offset: record.offset, identity: record.identity)
            switch form {
            case .serverSent(let isNamed):
                output.append("id: ")
                output.append(utf8: place.text)
                if isNamed { appendType(of: record, records, logged, to: &output) }
                output.append("\ndata: ")
                output.appendEvent(of: record, records)
                output.append("\n\n")
            case .lines(isPlaced: true):
                output.append("{\"place\":\"")
                output.append(utf8: place.text)
                output.append("\",\"offset\":")
                output.append(decimal: record.offset)
                output.append(",\"event\":")
                output.appendEvent(of: record, records)
                output.append("}\n")
            case .lines(isPlaced: false):
                output.appendEvent(of: record, records)
                output.append("\n")
            }
        }
        // The last one told its place itself, unless the limit cut off what was looked at.
        untold = nil
        return output.list
    }

    /// The type of the event, as it says it itself; for forms without one, the table and what happened.
    private func appendType(
        of record: Record, _ records: RecordBatch, _ logged: LoggedBatch, to output: inout OutputBuffer
    ) {
        output.append("\nevent: ")
        if output.appendType(in: records.payload(of: record)) { return }
        let topic = records.topics[Int(record.topic)]
        // Names may hold anything; a line feed would end the line.
        func appendName(_ name: String) {
            output.append(utf8: String(name.map { $0.isNewline || $0 == "\0" ? " " : $0 }))
        }
        appendName(topic.name)
        guard topic.routed == nil, let operation = EventReading.operation(at: record.offset, in: logged) else { return }
        output.append(".")
        output.append(operation.name)
    }
}

extension OutputBuffer {
    /// Appends an event; one without a value is `null`.
    mutating func appendEvent(of record: Record, _ records: RecordBatch) {
        if record.payload.isEmpty { append("null") } else { append(records.payload(of: record)) }
    }

    /// Appends the value of the first member `type` of a CloudEvent, as it stands there. False for anything else.
    ///
    /// A quote inside of a JSON string has a backslash before it, so that the bytes that are looked for stand nowhere
    /// inside of a value.
    fileprivate mutating func appendType(in event: RawSpan) -> Bool {
        let head: StaticString = "{\"specversion\""
        let name: StaticString = "\"type\":\""
        guard event.starts(with: head), let start = event.end(of: name) else { return false }
        var end = start
        while end < event.byteCount, event.byte(end) != UInt8(ascii: "\"") {
            end += event.byte(end) == UInt8(ascii: "\\") ? 2 : 1
        }
        guard end < event.byteCount else { return false }
        append(event.extracting(start..<end))
        return true
    }

    /// The content as a list.
    var list: [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}

extension RawSpan {
    fileprivate func starts(with text: StaticString) -> Bool {
        guard byteCount >= text.utf8CodeUnitCount else { return false }
        return matches(text, at: 0)
    }

    /// The place behind the first occurrence of a text, within a head of any sensible length.
    fileprivate func end(of text: StaticString) -> Int? {
        let count = text.utf8CodeUnitCount
        let last = Swift.min(byteCount, 16 << 10) - count
        guard last >= 0 else { return nil }
        for place in 0...last where matches(text, at: place) { return place + count }
        return nil
    }

    private func matches(_ text: StaticString, at place: Int) -> Bool {
        text.withUTF8Buffer { expected in
            expected.indices.allSatisfy { byte(place + $0) == expected[$0] }
        }
    }
}

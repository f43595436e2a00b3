import ConnectorKit

/// Records that the sink took and that are not known stored, in log order, and what is known of each.
///
/// A value without any connection: it is told what was sent and what was answered, and says what may be sent and how
/// far everything is stored. Sequences are those of the stream.
struct FlightWindow {
    /// What is known of a record.
    enum Standing: UInt8 {
        /// Not sent, or sent and refused.
        case waiting
        /// Sent, not answered.
        case sent
        /// In the stream.
        case stored
        /// Never to be sent: the receiver has no room for it.
        case rejected
    }

    /// A record in the window.
    struct Entry {
        /// The batch's number in ``batches``.
        var batch: Int
        /// The record's place in the batch.
        var index: Int
        var standing = Standing.waiting
        /// Bytes of payload and headers.
        var size: Int
        /// The record's sequence, once it is stored; before that a sequence below it, once it is sent.
        var sequence: UInt64 = 0
        /// The records that it must wait for; nil when the whole stream keeps the order.
        var lane: Lane?
    }

    /// A batch with records in the window, or one whose end is not yet told.
    struct Batch {
        var records: RecordBatch
        /// The subjects of its topics; empty when each record has its own.
        var subjects: [CText]
        /// The number behind its last entry.
        var end: Int
    }

    /// Records of one subject, of which one is on its way at a time.
    final class Lane {
        let subject: String
        /// Entries that wait for the one on its way.
        var waiting = NumberedQueue<Int>()
        /// True while one is on its way, or may be.
        var isBusy = false
        init(_ subject: String) { self.subject = subject }
    }

    /// A message that was sent and its answer's limit.
    private struct Sent {
        var entry: Int
        var at: ContinuousClock.Instant
        var isAnswered = false
    }

    private(set) var entries = NumberedQueue<Entry>()
    private(set) var batches = NumberedQueue<Batch>(slack: 1)
    private var sends = NumberedQueue<Sent>()
    private(set) var inFlightCount = 0
    private(set) var inFlightBytes = 0
    /// The newest sequence that an answer named.
    private(set) var newest: UInt64
    /// Every record before this log offset is stored or rejected.
    private(set) var durableBefore: UInt64
    /// The newest sequence of a record before that offset.
    private(set) var durableSequence: UInt64
    /// The rejected records that no receipt named.
    private(set) var rejections: [RejectedRecord] = []
    /// What becomes a rejection when the window's front passes it, by entry.
    private var pendingRejections: [Int: RejectedRecord] = [:]

    /// A window without records for a cursor at a log offset, when records behind it have sequences above `floor`.
    init(durableBefore: UInt64, floor: UInt64) {
        self.durableBefore = durableBefore
        durableSequence = floor
        newest = floor
    }

    /// True when nothing is unknown any more.
    var isEmpty: Bool { entries.isEmpty }

    // MARK: Taking records

    /// Takes a batch whose records are appended next; its number.
    mutating func beginBatch(_ records: RecordBatch, subjects: [CText]) -> Int {
        batches.append(Batch(records: records, subjects: subjects, end: entries.end))
        return batches.end - 1
    }

    /// Appends a record of the newest batch; its number.
    @discardableResult
    mutating func append(_ entry: Entry) -> Int {
        entries.append(entry)
        batches[batches.end - 1].end = entries.end
        return entries.end - 1
    }

    /// Appends a record that will not be sent.
    mutating func append(_ entry: Entry, rejectedAs rejection: RejectedRecord) {
        var entry = entry
        entry.standing = .rejected
        pendingRejections[append(entry)] = rejection
    }

    /// The record of an entry.
    func record(_ number: Int) -> Record {
        let entry = entries[number]
        return batches[entry.batch].records.records[entry.index]
    }

    // MARK: What happens to them

    /// Notes that an entry is sent; the number of the message.
    mutating func send(_ number: Int, at now: ContinuousClock.Instant) -> UInt64 {
        entries[number].standing = .sent
        entries[number].sequence = newest
        inFlightCount += 1
        inFlightBytes += entries[number].size
        sends.append(Sent(entry: number, at: now))
        return UInt64(sends.end - 1)
    }

    /// Takes the answer to a message: the entry's number; nil when nobody waits for it.
    mutating func takeAnswer(_ message: UInt64) -> Int? {
        guard let message = Int(exactly: message), sends.numbers.contains(message), !sends[message].isAnswered else {
            return nil
        }
        sends[message].isAnswered = true
        let number = sends[message].entry
        while let first = sends.first, first.isAnswered { sends.removeFirst() }
        inFlightCount -= 1
        inFlightBytes -= entries[number].size
        return number
    }

    /// When the oldest message without an answer was sent; nil when there is none.
    var oldestSend: ContinuousClock.Instant? { sends.first?.at }

    /// Notes that an entry is stored.
    mutating func setStored(_ number: Int, _ sequence: UInt64) {
        entries[number].standing = .stored
        entries[number].sequence = sequence
        newest = max(newest, sequence)
    }

    /// Notes that every unsent entry before another one is stored too, at a sequence that is not known.
    mutating func setStored(allBefore number: Int, _ sequence: UInt64) {
        for earlier in entries.start..<number where entries[earlier].standing == .waiting {
            entries[earlier].standing = .stored
            entries[earlier].sequence = sequence
        }
    }

    /// Notes that an entry was refused, and will be sent again.
    mutating func setWaiting(_ number: Int) { entries[number].standing = .waiting }

    /// Moves the front behind everything that is stored or rejected. An event that is several records stays until all
    /// of them are: the cursor passes it whole, and after a restart its first records are known from the stream.
    mutating func advance() {
        while let end = endOfDoneEvent {
            durableBefore = record(entries.start).offset &+ 1
            while entries.start < end, let first = entries.first {
                if first.standing == .stored { durableSequence = max(durableSequence, first.sequence) }
                if let rejection = pendingRejections.removeValue(forKey: entries.start) {
                    rejections.append(rejection)
                }
                entries.removeFirst()
            }
        }
        while let first = batches.first, first.end <= entries.start {
            durableBefore = max(durableBefore, first.records.nextOffset)
            batches.removeFirst()
        }
    }

    /// The number behind the first event's records when all of them are stored or rejected; nil when not.
    private var endOfDoneEvent: Int? {
        guard let batch = entries.first?.batch else { return nil }
        let offset = record(entries.start).offset
        var number = entries.start
        while number < entries.end, entries[number].batch == batch, record(number).offset == offset {
            guard entries[number].standing == .stored || entries[number].standing == .rejected else { return nil }
            number += 1
        }
        return number
    }

    /// True while a rejection was not taken.
    var hasRejections: Bool { !pendingRejections.isEmpty || !rejections.isEmpty }

    /// The rejections before the front, once.
    mutating func takeRejections() -> [RejectedRecord] {
        defer { rejections = [] }
        return rejections
    }

    /// A sequence that lies below that of every record in the stream behind the front. Looks at every entry.
    var floor: UInt64 {
        var floor = entries.isEmpty ? max(durableSequence, newest) : .max
        var isUnsentOnly = true
        for number in entries.numbers {
            let entry = entries[number]
            switch entry.standing {
            case .sent: floor = min(floor, entry.sequence)
            case .stored: floor = min(floor, entry.sequence &- 1)
            case .waiting, .rejected: continue
            }
            isUnsentOnly = false
        }
        return isUnsentOnly ? max(durableSequence, newest) : floor
    }
}

import ConnectorKit

/// A wish of a person to the process that writes the log, such as a new snapshot of a table.
package struct OperatorRequest: Codable, Sendable, Hashable {
    /// What is wished for.
    package enum Action: Codable, Sendable, Hashable {
        /// Reads the rows of these tables again, given as the configuration names tables.
        case snapshot(tables: [String])
        /// Releases the dead letters of these subjects as far as their contracts are accepted.
        case releaseDeadLetters(subjects: [String])
        /// Discards the dead letters of a subject up to this number: what came later stays, also when the request is
        /// carried out again after a crash.
        case discardDeadLetters(subject: String, through: Int64)
        /// Discards those of them whose rows are not valid by the contract in force, and releases what waited for them
        /// alone.
        case discardInvalidRows(subject: String, through: Int64)
        /// Delivers again what was set aside for a sink up to this number.
        case redeliver(sink: String, through: Int64)
        /// Moves a sink's cursor to a log offset; ahead of where it is only with `skipping`.
        case replay(sink: String, offset: UInt64, skipping: Bool)

        /// The sink that has to carry it out; nil for what capture does.
        package var sink: String? {
            switch self {
            case .redeliver(let sink, _), .replay(let sink, _, _): sink
            case .discardDeadLetters(let subject, _): DeadLetter.sink(ofSubject: subject)
            case .snapshot, .releaseDeadLetters, .discardInvalidRows: nil
            }
        }
    }

    /// Tells requests apart; sorts by the time at which they were made.
    package let id: String
    /// What is wished for.
    package let action: Action

    /// A request under an id of its own.
    package init(_ action: Action) {
        let time = String(UTCTime.now(), radix: 16)
        let random = String(UInt32.random(in: .min ... .max), radix: 16)
        id = String(repeating: "0", count: max(0, 14 - time.count)) + time + "-" + random
        self.action = action
    }
}

/// What became of a request.
package struct RequestOutcome: Codable, Sendable, Hashable {
    /// True when it was carried out, or is durably remembered and will be.
    package var isDone: Bool
    /// One line for the person: what was done, or why not.
    package var text: String

    /// An outcome of its parts.
    package init(isDone: Bool, text: String) {
        self.isDone = isDone
        self.text = text
    }
}

import ConnectorKit

/// Looks at the stream before anything is published to it, and makes it when it is missing and that is wanted.
struct StreamPreparation {
    private let settings: NATSSettings
    private let connection: NATSConnection

    init(_ settings: NATSSettings, _ connection: NATSConnection) {
        self.settings = settings
        self.connection = connection
    }

    /// The stream as it is now. Throws when it cannot be published to. One that `hadMessages` of ours and is missing is
    /// not made anew, since nobody would notice what is gone with it.
    func facts(for sink: String, hadMessages: Bool) throws(ConnectorFailure) -> StreamFacts {
        let facts = try existing(sink, hadMessages)
        if let problem = facts.problem(for: settings) { throw problem }
        return facts
    }

    private func existing(_ sink: String, _ hadMessages: Bool) throws(ConnectorFailure) -> StreamFacts {
        do throws(ConnectorFailure) {
            return try connection.streamFacts()
        } catch {
            guard error.code == "nats.stream_missing", let new = settings.newStream else { throw error }
            if hadMessages { throw NATSFailure.vanished(settings, sink) }
            try connection.makeStream(new)
            return try connection.streamFacts()
        }
    }
}

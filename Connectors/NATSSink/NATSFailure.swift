import CNATS
import ConnectorKit

/// Every failure of the NATS sink, in one place: which status of the client and which code of JetStream has which code
/// and remedy. Nothing of a message, and no subject that was made from a row, stands in any of them.
enum NATSFailure {
    // MARK: Connecting

    /// The client could not connect to `server`, for a status and the words that it left.
    static func connecting(_ status: natsStatus, _ words: String, to server: ServerAddress) -> ConnectorFailure {
        let about = "cannot connect to \(server.name): \(words)"
        switch status {
        case NATS_CONNECTION_AUTH_FAILED, NATS_NOT_PERMITTED:
            return ConnectorFailure(
                "nats.auth_failed", .stop, about, setting: "servers",
                hint: "check user, password, token, nkey or credentials against the server's configuration")
        case NATS_SECURE_CONNECTION_WANTED:
            return ConnectorFailure(
                "nats.tls_failed", .stop, "cannot connect to \(server.name): the server offers no TLS",
                setting: "tls",
                hint: "have the server offer TLS, or write nats:// in its address and take tls out of the settings")
        case NATS_SSL_ERROR, NATS_SECURE_CONNECTION_REQUIRED:
            return ConnectorFailure(
                "nats.tls_failed", .stop, about, setting: "tls",
                hint: "the server's certificate must be for \(server.host) and be signed by tls.ca, or by an authority "
                    + "that the system trusts; see openssl s_client -starttls or the server's log")
        case NATS_INVALID_ARG, NATS_NOT_FOUND:
            return ConnectorFailure(
                "nats.bad_credentials", .stop, about, setting: "credentials",
                hint: "check that the files of credentials and tls are there, readable and complete")
        default:
            return ConnectorFailure(
                "nats.unreachable", .retry, about, setting: "servers",
                hint: "check that the server runs and listens there, and the network in between")
        }
    }

    /// The connection ended, or an operation on it failed.
    static func lost(_ words: String) -> ConnectorFailure {
        ConnectorFailure(
            "nats.connection_lost", .retry, "the connection to the server was lost: \(words)",
            hint: "delivery goes on by itself once a server can be reached")
    }

    /// A file of the settings could not be used.
    static func badFile(_ setting: String, _ words: String) -> ConnectorFailure {
        ConnectorFailure(
            "nats.bad_credentials", .stop, "what \(setting) names cannot be used: \(words)", setting: setting,
            hint: "check that the file is there, readable and complete", exitCode: 2)
    }

    /// The server does not let us publish or ask.
    static func notPermitted(_ settings: NATSSettings, _ what: String) -> ConnectorFailure {
        ConnectorFailure(
            "nats.permission_denied", .stop, "the server does not permit \(what)",
            hint: "permit the user to publish to \(settings.subject.pattern.text) and "
                + "$JS.API.STREAM.*.\(settings.stream), $JS.API.STREAM.MSG.GET.\(settings.stream), and to subscribe to "
                + "_INBOX.>")
    }

    // MARK: The stream

    /// The server could not say what the stream is like.
    static func asking(
        _ status: natsStatus, _ code: Int, _ words: String, _ settings: NATSSettings
    ) -> ConnectorFailure {
        let name = settings.stream
        switch (status, code) {
        case (_, 10_059):
            return ConnectorFailure(
                "nats.stream_missing", .stop, "there is no stream \(name)", setting: "stream",
                hint: "make it: nats stream add \(name) --subjects '\(settings.subject.pattern.text)' --defaults, "
                    + "or set create_stream: true")
        case (_, 10_065):
            return ConnectorFailure(
                "nats.subjects_taken", .stop,
                "the stream \(name) cannot be made: another stream has subjects of \(settings.subject.pattern.text)",
                setting: "stream", hint: "name that stream (nats stream find), or choose another subject")
        case (_, 10_039), (_, 10_076), (NATS_NO_RESPONDERS, _):
            return ConnectorFailure(
                "nats.no_jetstream", .retry, "the server has no JetStream for us now: \(words)", setting: "servers",
                hint: "start it with JetStream (nats-server -js) and allow it for the account; a cluster needs a leader"
            )
        case (_, 10_074), (_, 10_005), (_, 10_047), (_, 10_023), (_, 10_028), (_, 10_049):
            return ConnectorFailure(
                "nats.no_resources", .retry, "the stream \(name) cannot be made: \(words)",
                setting: "new_stream",
                hint: "a cluster needs as many servers as replicas, and room within its limits and the account's")
        default:
            return ConnectorFailure(
                "nats.stream_unknown", .retry, "the server did not say what the stream \(name) is like: \(words)",
                setting: "stream", hint: "a cluster without a leader cannot: see nats server report jetstream")
        }
    }

    /// The stream was there, with messages of the sink, and is gone; or the one that was there had another name.
    static func vanished(_ settings: NATSSettings, _ sink: String) -> ConnectorFailure {
        let name = settings.stream
        return ConnectorFailure(
            "nats.stream_vanished", .retry,
            "the stream \(name) is not there, and the sink has published: it is gone with its events, or another "
                + "one is named than before",
            setting: "stream",
            hint: "millrace replay \(sink) --from earliest makes it anew and publishes what the log still has; to go "
                + "on without the events before, make it: nats stream add \(name) --subjects "
                + "'\(settings.subject.pattern.text)' --defaults")
    }

    static func sealed(_ settings: NATSSettings) -> ConnectorFailure {
        ConnectorFailure(
            "nats.stream_sealed", .stop, "the stream \(settings.stream) is sealed", setting: "stream",
            hint: "nothing can be added to it ever again: name another stream")
    }

    static func mirror(_ settings: NATSSettings) -> ConnectorFailure {
        ConnectorFailure(
            "nats.stream_is_mirror", .stop, "the stream \(settings.stream) is a mirror of another", setting: "stream",
            hint: "name the stream that it mirrors; nobody can publish to a mirror")
    }

    static func noAnswers(_ settings: NATSSettings) -> ConnectorFailure {
        ConnectorFailure(
            "nats.stream_without_acks", .stop, "the stream \(settings.stream) answers no messages (no_ack)",
            setting: "stream",
            hint: "nats stream edit \(settings.stream) --ack: without answers nothing is known stored")
    }

    static func subjectNotInStream(_ settings: NATSSettings, _ subjects: [String]) -> ConnectorFailure {
        let wanted = settings.subject.pattern.text
        return ConnectorFailure(
            "nats.subject_not_in_stream", .stop,
            "the stream \(settings.stream) takes \(subjects.joined(separator: ", ")), and nothing of \(wanted)",
            setting: "subject",
            hint: "nats stream edit \(settings.stream) --subjects '\((subjects + [wanted]).joined(separator: ","))', "
                + "or choose another subject")
    }

    static func windowTooShort(_ settings: NATSSettings, _ window: Duration) -> ConnectorFailure {
        let least = settings.duplicateWindowMin.components.seconds
        return ConnectorFailure(
            "nats.duplicate_window_too_short", .stop,
            "the stream \(settings.stream) knows messages again for \(window.components.seconds) s only",
            setting: "stream",
            hint:
                "nats stream edit \(settings.stream) --dupe-window 2m: \(least) s are needed, twice ack_timeout"
        )
    }

    // MARK: Publishing

    /// Nobody answered in time.
    static func noAnswer(_ settings: NATSSettings) -> ConnectorFailure {
        ConnectorFailure(
            "nats.ack_timeout", .retry,
            "the stream \(settings.stream) did not answer within \(settings.answerTimeout.components.seconds) s",
            setting: "ack_timeout",
            hint: "check the load and the disk of the servers; the sink will look what is stored, and go on behind it")
    }

    /// No stream listens on a subject.
    static func nobody(_ settings: NATSSettings) -> ConnectorFailure {
        ConnectorFailure(
            "nats.no_responders", .retry,
            "no stream answers on a subject of \(settings.subject.text)", setting: "subject",
            hint: "if it stays: nats stream edit \(settings.stream) --subjects so that it takes "
                + "\(settings.subject.pattern.text); while a leader is elected it passes")
    }

    /// The server refused a message with a code of JetStream's.
    static func refused(_ code: Int, _ settings: NATSSettings) -> ConnectorFailure {
        switch code {
        case 10_109: return sealed(settings)
        case 10_077, 10_047, 10_023, 10_122, 10_076:
            return ConnectorFailure(
                "nats.stream_full", .retry,
                "the stream \(settings.stream) takes no more messages now (JetStream error \(code))", setting: "stream",
                hint: "raise its limits (nats stream edit) or let consumers take messages; nothing is lost meanwhile")
        case 10_054:
            return ConnectorFailure(
                "nats.limits_changed", .retry, "the stream \(settings.stream) has another limit of sizes than before",
                setting: "stream", hint: "the sink reads its limits anew")
        default:
            return ConnectorFailure(
                "nats.refused", .retry, "the stream \(settings.stream) refused a message (JetStream error \(code))",
                setting: "stream", hint: "see the server's log; nothing is lost meanwhile")
        }
    }

    /// The server takes larger messages than the connection knows of.
    static let serverLimitRaised = ConnectorFailure(
        "nats.limits_changed", .retry, "the server takes larger messages than when the sink connected",
        setting: "servers", hint: "the sink connects anew")

    /// The order cannot be kept since others publish.
    static func otherPublisher(_ settings: NATSSettings) -> ConnectorFailure {
        ConnectorFailure(
            "nats.other_publisher", .retry,
            "somebody else publishes to the stream \(settings.stream), which shared: false excludes",
            setting: "shared", hint: "write shared: true, or give the sink a stream of its own")
    }

    /// Events are to be published again whose messages may still be on their way.
    static func copiesMayCome(_ settings: NATSSettings) -> ConnectorFailure {
        ConnectorFailure(
            "nats.copies_may_come", .retry,
            "a replay waits until no message can come any more that was sent without an answer", setting: "shared",
            hint: "it goes on by itself within \(settings.duplicateWindowMin.components.seconds) s")
    }

    /// The stream knows more of what was published than the log.
    static func replayedSince(_ settings: NATSSettings) -> ConnectorFailure {
        ConnectorFailure(
            "nats.replayed_since", .retry,
            "the stream \(settings.stream) has events of a replay that the log knows nothing of, so that the log is an "
                + "older copy",
            setting: "stream",
            hint: "the sink publishes again from its cursor on; a replay that was under way is to be asked for again")
    }

    /// Something that no server of NATS answers.
    static let unreadable = ConnectorFailure(
        "nats.unreadable_answer", .retry, "an answer to a message was none of JetStream's",
        hint: "a service may listen on the subjects of the stream: see nats stream subjects and nats sub")

    /// A state that this version cannot read.
    static let unknownState = ConnectorFailure(
        "nats.unknown_state", .stop, "the stored state is not one of a NATS sink, or of a later version",
        hint: "use the version of Millrace that wrote it; a sink that was of another type goes under another name")

    /// A batch whose records do not lie in its bytes.
    static let badBatch = ConnectorFailure(
        "nats.bad_batch", .stop, "a batch of records does not have the form that sinks are promised",
        hint: "this is a fault of the encoder: please report it; nothing of the batch was published")

    static let notOpen = ConnectorFailure(
        "nats.not_open", .retry, "the NATS sink was written to before it was opened")
}

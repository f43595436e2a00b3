package import ConnectorKit

extension NATSSettings {
    /// The settings that may stand under `nats:`.
    package static let table: [Setting] =
        [
            Setting(
                "servers", .list,
                "The servers of one cluster as `nats://host:port`, or `tls://host:port` for TLS. They are tried in turn"
                    + " until one takes the connection.",
                isRequired: true),
            Setting(
                "subject", .text,
                "Where events go. {name} stands for the pipeline's name, {schema} and {table} for the names of the"
                    + " table, {topic} for `schema.table` or the topic of an outbox event, {key} for the row's key."
                    + " Characters of names that have a meaning in subjects are written as %XX; the dots of a topic"
                    + " stay. By default `\(usualSubject)`, and in the format `debezium` `{topic}`, whose topics begin"
                    + " with the pipeline's name by themselves."),
            Setting("stream", .text, "The JetStream stream that stores the events. By default the pipeline's name."),
            Setting(
                "create_stream", .flag,
                "Whether the stream is made when it is missing. One that is there is never changed: it is checked.",
                default: .flag(true)),
            Setting("new_stream", .group(newStreamTable), "What the stream is like when the sink makes it."),
            Setting(
                "shared", .flag,
                "Whether anybody else publishes to the stream. If nobody does, the server refuses what would leave a"
                    + " gap or change the order, so that many messages may be on their way at a time. Otherwise one"
                    + " message is on its way for each subject, which is slower.",
                default: .flag(false)),
            Setting(
                "mode", .choice(["structured", "binary"]),
                "How CloudEvents are spelt. `structured`: the message is the whole event. `binary`: the message is the"
                    + " event's data, and its attributes are headers that begin with `ce-`.",
                default: .text("structured")),
            Setting(
                "max_in_flight", .integer(1...65_536),
                "How many messages may be without an answer at a time.", default: .integer(usualInFlight)),
            Setting(
                "max_in_flight_size", .size, "How many bytes of messages may be without an answer at a time.",
                default: .size(usualInFlightBytes)),
            Setting(
                "ack_timeout", .duration,
                "How long the server's answer to a message is waited for. After that nobody knows whether it is"
                    + " stored: the sink connects anew, looks, and goes on behind what is there.",
                default: .duration(.seconds(5))),
            Setting(
                "connect_timeout", .duration,
                "How long connecting to one server, and a question about the stream, may take.",
                default: .duration(.seconds(5))),
        ] + accessTable

    private static let newStreamTable = [
        Setting("replicas", .integer(1...5), "How many servers of the cluster have a copy.", default: .integer(1)),
        Setting(
            "storage", .choice(["file", "memory"]), "Where the servers keep it. What is in memory a restart takes.",
            default: .text("file")),
        Setting("max_age", .duration, "Messages older than this go. By default none do."),
        Setting("max_size", .size, "Above this many bytes the oldest messages go. By default none do."),
        Setting(
            "duplicate_window", .duration, "How long the server knows a message again by its id.",
            default: .duration(usualDuplicateWindow)),
    ]

    private static let accessTable = [
        Setting("user", .text, "The user to connect as."),
        Setting("password", .text, "The user's password.", isSecret: true),
        Setting("token", .text, "The token to connect with.", isSecret: true),
        Setting("nkey", .text, "The public NKey to connect with (`U…`)."),
        Setting("nkey_seed", .text, "The seed of that key (`SU…`).", isSecret: true),
        Setting(
            "credentials", .text,
            "The credentials file (`.creds`, a JWT and a seed) to connect with, as `nsc` makes it. A relative path is"
                + " taken from the configuration's folder."),
        Setting(
            "tls", .group(tlsTable),
            "Certificates. The server's is always checked, and that it is for the host that stands in `servers`."),
        Setting("domain", .text, "The JetStream domain of the stream, when it is not that of the servers."),
    ]

    private static let tlsTable = [
        Setting("ca", .text, "The certificates to trust (PEM) instead of those of the system."),
        Setting("certificate", .text, "The certificate to show to the server (PEM), with those above it behind it."),
        Setting("key", .text, "The key of that certificate (PEM)."),
    ]
}

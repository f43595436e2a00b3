package import ConnectorKit

extension WebhookSettings {
    /// The settings of `webhook`.
    package static let table: [Setting] =
        [
            Setting(
                "url", .text,
                "Where events are posted to: `https://host/path`, or `http:`. Treated as a secret, because many hold "
                    + "a token; a user and password in it are sent as basic authentication.",
                isRequired: true, isSecret: true),
            Setting(
                "secret", .text,
                "The key that signs requests as Standard Webhooks describes: `whsec_` and base64 of 24 to 64 bytes for "
                    + "HMAC-SHA-256 (`v1`), or `whsk_` and base64 of a private key for Ed25519 (`v1a`). Without one "
                    + "nothing is signed.",
                isSecret: true),
            Setting(
                "further_secrets", .list,
                "Keys that sign each request too, while receivers change from one to another.", default: .list([]),
                isSecret: true),
            Setting(
                "mode", .choice(Mode.allCases.map(\.rawValue)),
                "`structured`: the body of a request is an event. `binary`: the body is the event's data, and its "
                    + "attributes are headers `ce-…`. `batch`: the body is an array of events of the same lane; only "
                    + "for receivers that ask for it.",
                default: .text(Mode.structured.rawValue)),
            Setting("batch", .group(batch), "How large requests become in the mode `batch`."),
        ] + delivery + protection + connection

    private static let batch = [
        Setting("records", .integer(1...10_000), "The most events of a request.", default: .integer(100)),
        Setting(
            "size", .size, "No further event is added beyond so many bytes.", default: .size(256 << 10)),
    ]

    private static let delivery = [
        Setting(
            "concurrency", .integer(1...256),
            "How many requests are on their way at most: the number of lanes. Events of one key share a lane, and a "
                + "lane has one request on its way. With 1, events arrive in the order of the log.",
            default: .integer(8)),
        Setting(
            "window", .group(window),
            "How many events are taken from the log beyond the first one that is not delivered. An event that waits "
                + "for another attempt holds up others once the window is full; after a crash, no more than the window "
                + "comes again."),
        Setting(
            "retry", .group(retry),
            "When a request that failed is sent again: pauses are doubled from `initial` to `max`, and each is cut to "
                + "a random part. `Retry-After` is kept to, up to one hour."),
        Setting(
            "failures_until_pause", .integer(1...10_000),
            "After so many failures in a row the endpoint counts as down: nothing is sent but one request after each "
                + "pause, until one gets through.",
            default: .integer(10)),
    ]

    private static let window = [
        Setting("records", .integer(1...1_000_000), "The most events.", default: .integer(4096)),
        Setting("size", .size, "The most bytes of events; a single larger one passes.", default: .size(8 << 20)),
    ]

    private static let retry = [
        Setting("initial", .duration, "The first pause.", default: .duration(.seconds(1))),
        Setting("max", .duration, "The longest pause.", default: .duration(.seconds(300))),
        Setting(
            "give_up_after", .duration,
            "An event that the endpoint did not take for so long becomes a dead letter, and later events of its key "
                + "wait behind it. The time counts from the first attempt since the start. By default events wait for "
                + "ever."
        ),
    ]

    private static let protection = [
        Setting(
            "timeout", .duration, "How long a request may take from the start to the end of the response.",
            default: .duration(.seconds(15))),
        Setting(
            "connect_timeout", .duration, "How long name resolution, connection and TLS may take.",
            default: .duration(.seconds(5))),
        Setting(
            "max_request_size", .size, "An event that makes a larger body becomes a dead letter.",
            default: .size(16 << 20)),
        Setting(
            "max_response_size", .size,
            "More of a response is not read; its status counts nevertheless. Nothing of it is kept.",
            default: .size(64 << 10)),
        Setting(
            "allow_private_addresses", .flag,
            "Whether requests may go to loopback, private, link-local and other addresses that are not public. They "
                + "are looked at each time when a connection is made, after the name was resolved.",
            default: .flag(false)),
    ]

    private static let connection = [
        Setting(
            "proxy", .text,
            "An HTTP proxy, `http://user:password@host:port`. Variables of the environment are not heeded. The proxy "
                + "resolves the endpoint's name then, and must itself refuse addresses that are not public.",
            isSecret: true),
        Setting("tls", .group(tls), "Files in PEM, relative to the configuration's folder."),
        Setting(
            "headers", .map(pattern: "^[^\\x00-\\x1f\\x7f]*$", words: "text"),
            "Headers that every request has, by their names. Treated as secrets.", isSecret: true),
        Setting(
            "record_headers", .group(recordHeaders),
            "In the format `debezium` and the mode `structured`: how the headers of a record, its key and its topic are"
                + " written as headers of the request."),
        Setting("authentication", .group(authentication), "What the header `Authorization` says."),
    ]

    private static let recordHeaders = [
        Setting(
            "prefix", .text, "What names begin with (`debezium.sink.http.headers.prefix`).",
            default: .text(RecordHeaders().prefix)),
        Setting(
            "base64", .flag,
            "Whether values are in base64 (`debezium.sink.http.headers.encode.base64`). If not they are JSON in ASCII.",
            default: .flag(true)),
    ]

    private static let tls = [
        Setting("ca", .text, "Certificates of authorities that are trusted instead of the system's."),
        Setting("certificate", .text, "The certificate that is shown to the endpoint, with those that lead to it."),
        Setting("key", .text, "The key of the certificate."),
        Setting("key_password", .text, "The password of the key.", isSecret: true),
    ]

    private static let authentication = [
        Setting("bearer", .text, "A token.", isSecret: true),
        Setting("user", .text, "A user's name, for basic authentication."),
        Setting("password", .text, "The user's password.", isSecret: true),
    ]
}

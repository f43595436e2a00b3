import ConnectorKit

/// The settings that belong to no connector, declared in the same form as those of connectors.
enum PipelineSettings {
    /// The longest name of a pipeline or a sink: names become parts of slots, topics and file names.
    static let nameLengthMax = 40

    /// The top level, beside `source` and `sinks`.
    static let top = [
        Setting(
            "name", .text,
            "The pipeline's name: the prefix of event ids, subjects and slots. A small letter, then up to 39 small"
                + " letters, digits, `_` or `-`. Never change it once events were delivered: every event would get"
                + " another identity.",
            isRequired: true),
        Setting(
            "transforms", .groups(transforms),
            "What is done to rows before they are stored anywhere. Of several masks for a column the strongest holds:"
                + " `drop`, `redact`, `hash`, `truncate`."),
        Setting(
            "mask_salt", .text,
            "The key of all hashes: \(saltBytesMin) random bytes at least, such as `openssl rand -hex 32` prints."
                + " Another salt gives other hashes. Required for `hash`.",
            isSecret: true),
        Setting(
            "outbox", .groups(outbox),
            "The outbox tables: each row that is put into one becomes an event of the application, under the row's own"
                + " id and type; updates and deletes of rows make no event. Of several entries for a table the first"
                + " holds. See [Outbox tables](../guides/outbox.md)."),
        Setting("schemas", .group(schemas), "The schemas of the events."),
        Setting(
            "sensitivity", .group(sensitivity),
            "What happens to classified columns where they must not be seen. See"
                + " [Sensitive columns](../guides/sensitivity.md)."),
        Setting("log", .group(log), "The durable log between the source and the sinks."),
        Setting(
            "server", .group(server),
            "The HTTP listener of `millrace run` and `millrace schema serve`: events, health, status, metrics and the"
                + " schema registry, see [HTTP](http.md). `millrace run` listens only when this section is there."),
    ]

    static let server = [
        Setting(
            "listen", .text,
            "The IP address and port to listen on, such as `127.0.0.1:8642`, `[::1]:8642` or `0.0.0.0:8642`."
                + " `localhost` is 127.0.0.1; port 0 takes any that is free and says which. Where other machines reach"
                + " it, `token` is required.",
            default: .text(ListenAddress.standard.description)),
        Setting(
            "token", .text,
            "What clients must show, \(tokenBytesMin) visible ASCII characters at least, such as"
                + " `openssl rand -hex 32` prints: as a bearer token, or as the password of any user name. It guards"
                + " everything but `/healthz` and `/readyz`. Without one, whoever may open a connection on this machine"
                + " may read the status and the events, and change schemas.",
            isSecret: true),
        Setting(
            "clearance", .list,
            "The sensitivity classes that readers of `/v1/events` and of subscriptions may see, as in a sink's"
                + " `clearance`. Without it, what `sensitivity.commands` says."),
        Setting(
            "streams", .integer(1...200),
            "How many streams of `/v1/events`, and requests that wait for events of a subscription, there may be at a"
                + " time.",
            default: .integer(64)),
        Setting(
            "heartbeat", .duration,
            "How long a stream of server-sent events may be silent before a comment is sent, which keeps proxies from"
                + " ending it.",
            default: .duration(.seconds(15))),
        Setting(
            "slow_reader_timeout", .duration,
            "How long the reader of a stream may take to receive 64 KiB before its connection is closed. It goes on"
                + " where it was when it comes back.",
            default: .duration(.seconds(30))),
        Setting(
            "subscriptions", .integer(0...1000),
            "How many subscriptions there may be. Each keeps the events that it did not acknowledge in the log.",
            default: .integer(100)),
    ]
    /// A shorter token could be guessed over the network.
    static let tokenBytesMin = 16

    static let transforms = [
        Setting(
            "tables", .list,
            "The tables that the entry is for: `schema.table`, or the bare name in every schema; `*` stands for any"
                + " run of characters.",
            isRequired: true),
        Setting(
            "mask", .map(pattern: "^(drop|redact|hash|truncate\\([0-9]+\\))$", words: maskWords),
            "Masks by column. `drop`: the column is left out. `redact`: `[redacted]` stands for every value, NULL too."
                + " `hash`: the HMAC-SHA-256 of the value under `mask_salt`, in hexadecimal digits; NULL stays NULL,"
                + " and equal values get equal hashes in every table. `truncate(N)`: the first N characters stay, of"
                + " `bytea` and BLOB the first N bytes. A key column takes `hash` only.",
            isRequired: true),
    ]

    /// The masks as messages and the manual list them.
    static let maskWords = "`drop`, `redact`, `hash`, `truncate(N)`"
    /// A shorter salt could be guessed from hashes of known values.
    static let saltBytesMin = 16

    static let outbox = [
        Setting(
            "tables", .list, "The tables that the entry is for, as in `transforms`. The source must capture them.",
            isRequired: true),
        Setting("columns", .group(outboxColumns), "The names of the columns that make an event."),
        Setting(
            "topic", .text,
            "Where the events go, for sinks that route by topic. `{aggregatetype}` stands for the row's aggregate type,"
                + " `{schema}` and `{table}` for the names of the table.",
            default: .text("outbox.event.{aggregatetype}")),
        Setting(
            "attributes", .map(pattern: "^[\\s\\S]+$", words: "names of columns"),
            "Columns that become attributes of the event, by the attribute's name: 1 to 20 small letters and digits,"
                + " such as `{correlationid: correlation_id, traceparent: trace}`. NULL, and text with control"
                + " characters in it, is left out."),
        Setting(
            "content", .choice(outboxContents),
            "What the payload is taken for. `auto`: columns of json and jsonb are JSON, bytea is binary, and text is"
                + " JSON when it is a JSON object or array. `json`: text must be JSON; a row whose text is not is set"
                + " aside. `text`: text and JSON are plain text.",
            default: .text("auto")),
    ]

    /// What the payload of an outbox may be taken for.
    static let outboxContents = ["auto", "json", "text"]

    static let outboxColumns = [
        Setting("id", .text, "The event's id, which no other row of the table ever has.", default: .text("id")),
        Setting(
            "aggregatetype", .text, "The kind of thing that the event is about.", default: .text("aggregatetype")),
        Setting(
            "aggregateid", .text, "Which thing it is about: events with one are delivered in order. May be NULL.",
            default: .text("aggregateid")),
        Setting("type", .text, "The event's type.", default: .text("type")),
        Setting("payload", .text, "The event's data. May be NULL.", default: .text("payload")),
    ]

    /// Names of attributes that an outbox cannot give: the event's own.
    static let takenAttributes: Set<String> = [
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", "sequence", "partitionkey",
        "recordedtime", "aggregatetype",
    ]
    /// Brokers have bounds for topics; most of it is left to the aggregate type.
    static let topicBytesMax = 200

    static let schemas = [
        Setting(
            "directory", .text, "The folder of the schema files. Made to be kept in version control.",
            default: .text("Schemas")),
        Setting(
            "on_change", .choice(ChangePolicy.allCases.map(\.rawValue)),
            "When a table has a form that no registered version has: `evolve` registers it as the next version and goes"
                + " on; `quarantine` sets the table's changes aside until somebody accepts the form, and goes on with"
                + " everything else; `halt` stops capture before anything of the new form.",
            default: .text(ChangePolicy.evolve.rawValue)),
        Setting(
            "on_incompatible", .choice(IncompatiblePolicy.allCases.map(\.rawValue)),
            "When `on_change` is `evolve`, and a table changed in a way that the compatibility level does not allow"
                + " which somebody set for its subject or for all (`millrace schema compatibility`): as `quarantine` or"
                + " `halt` of `on_change`. Where nobody set a level, every change may pass.",
            default: .text(IncompatiblePolicy.quarantine.rawValue)),
        Setting(
            "on_new_table", .choice(NewTablePolicy.allCases.map(\.rawValue)),
            "When a table has no registered version at all: `register` makes version 1 and goes on; `require` waits"
                + " until somebody accepts it, setting its changes aside where `on_change` is `quarantine`, and"
                + " stopping capture in the other cases.",
            default: .text(NewTablePolicy.register.rawValue)),
        Setting(
            "on_invalid", .choice(InvalidPolicy.allCases.map(\.rawValue)),
            "When a row is not valid under the version of the contract that its table is under: `quarantine` sets the"
                + " change aside, with all later changes of the same row, and goes on with everything else; `halt`"
                + " stops capture before the row. What types of columns guarantee is never asked of rows, so under"
                + " contracts that Millrace made by itself nothing is invalid.",
            default: .text(InvalidPolicy.quarantine.rawValue)),
    ]

    static let sensitivity = [
        Setting(
            "unclassified", .choice(SensitivityClass.allCases.map(\.rawValue)),
            "The class of columns to which no schema gives one, and of what applications say about transactions.",
            default: .text(SensitivityClass.internal.rawValue)),
        Setting(
            "masks", .map(pattern: "^(drop|redact|hash|truncate\\([0-9]+\\))$", words: maskWords),
            "What stands for values of a class where it must not be seen, by class, as in"
                + " `{restricted: drop, confidential: hash}`; the masks are those of `transforms`. `drop` for a class"
                + " that is not named. Where a key must not be seen, a hash stands for it, whatever the mask is."),
        Setting(
            "commands", .list,
            "What `tail`, `deadletters show` and `verify` show without `--clearance`: the classes, as in a sink's"
                + " `clearance`.",
            default: .list(usualClearance)),
    ]

    /// What is seen by whoever is not given a clearance.
    static let usualClearance = SensitivityClass.allCases.filter(Clearance.usual.allows).map(\.rawValue)

    static let log = [
        Setting(
            "directory", .text, "The folder of the log. It must be on a disk that outlives the process.",
            default: .text(".millrace")),
        Setting("retention", .group(retention), "How long the log keeps what every sink has already got."),
        Setting(
            "limit", .size,
            "When the log takes more bytes than this, because a sink does not take its events, capture waits until"
                + " there is room: the database keeps its changes meanwhile. Near it, the oldest of what all sinks have"
                + " goes, even when `retention` would keep it. Without it, the disk is the limit."),
        Setting(
            "reserve", .size,
            "How many bytes of the disk the log keeps in a file, for when the disk is full: sinks and retention go on"
                + " with them. It is made when twice as much is free. Less than 4 MiB is of little use; `0B` is for"
                + " none. See [Running Millrace](../guides/operations.md#a-full-disk).", default: .size(48 << 20)),
        Setting(
            "acknowledge", .choice(LogAcknowledgement.allCases.map(\.rawValue)),
            "When the source is told that it may forget. `logged`: once the log has it durably. `delivered`: once every"
                + " sink has it too, for machines whose disk does not outlive the process; a sink that does not take"
                + " its events then makes the source database keep them.",
            default: .text(LogAcknowledgement.logged.rawValue)),
    ]

    static let retention = [
        Setting("age", .duration, "Events younger than this stay.", default: .duration(.seconds(7 * 86_400))),
        Setting(
            "size", .size, "Above this many bytes the oldest events go, even when they are young.",
            default: .size(10 << 30)),
        Setting(
            "undelivered", .choice(UndeliveredPolicy.allCases.map(\.rawValue)),
            "What becomes of events that are past age or size and that a sink has not got. `keep`: they stay until it"
                + " has. `drop`: they go, and the sink never gets them; how many those are is said each time.",
            default: .text(UndeliveredPolicy.keep.rawValue)),
    ]

    /// What every sink has beside its connector.
    static let sink = [
        Setting(
            "tables", .list, "The tables whose events the sink gets; `*` stands for any run of characters.",
            default: .list(["*"])),
        Setting(
            "format", .choice(RecordFormat.allCases.map(\.rawValue)),
            "The form of the records: `cloudevents` is the whole event, `row` is the row after the change with the"
                + " metadata under names that begin with `_`, `csv` the same as lines of CSV, for files only,"
                + " `debezium` are the records of Debezium's connectors, see"
                + " [Debezium's format](../guides/debezium.md).",
            default: .text(RecordFormat.cloudevents.rawValue)),
        Setting("debezium", .group(debezium), "How records of the format `debezium` are spelled."),
        Setting(
            "clearance", .list,
            "The sensitivity classes that the sink may see: `public`, `internal`, `confidential` and `restricted`, each"
                + " with those before it. Columns of other classes are masked or left out, as `sensitivity.masks`"
                + " says.",
            default: .list(usualClearance)),
        Setting(
            "from", .text,
            "Where the sink begins in the log when it is new: `earliest`, `latest`, a log offset, or a UTC time of"
                + " commit such as `2026-11-21T10:00:00Z`. Later it goes on where it was; `millrace replay` moves it.",
            default: .text("earliest")),
        Setting(
            "on_rejected", .choice(RejectedPolicy.allCases.map(\.rawValue)),
            "What becomes of an event that the receiver refuses for good. `quarantine`: it waits as a dead letter of"
                + " the sink, with the later events of its key, while all others are delivered. `halt`: the sink stops"
                + " in front of it.",
            default: .text(RejectedPolicy.quarantine.rawValue)),
    ]

    /// What is described for later versions. A key moves out of here when a table declares it; `*` is a sink's name.
    static let announced: Set<String> = [
        "sinks.*.kafka"
    ]

    /// True when `path` is described for later versions.
    static func isAnnounced(_ path: String) -> Bool {
        var parts = path.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count > 2, parts[0] == "sinks" { parts[1] = "*" }
        return announced.contains(parts.joined(separator: "."))
    }

    /// True for a small letter and up to 39 small letters, digits, `_` or `-`.
    static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= nameLengthMax, (0x61...0x7A).contains(first) else { return false }
        return bytes.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5F || byte == 0x2D
        }
    }
}

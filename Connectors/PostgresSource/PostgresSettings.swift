private import CLibPQ
internal import ChangeModel
package import ConnectorKit

/// What the configuration says about a PostgreSQL source.
package struct PostgresSettings: Sendable {
    /// The connection as libpq takes it: a URI or a keyword/value string. Secret.
    package var url: String
    /// Which tables are captured, as `schema.table` with wildcards.
    package var tables: [TablePattern]
    /// Which of them are not.
    package var excluded: [TablePattern]
    /// What of single tables is captured.
    var choices: TableChoices
    /// The logical replication slot.
    package var slot: String
    /// True to have a new slot carried over to standbys by servers that can.
    var isFailoverWanted: Bool
    /// The publication.
    package var publication: String
    /// How often the server hears from us at least.
    package var statusInterval: Duration
    /// What becomes of logical messages.
    var messages = MessageChoice()
    /// True to read rows that were there before the stream.
    package var readsOldRows: Bool
    /// Where they are read; nil for ``url``.
    package var snapshotURL: String?
    /// How many connections read them.
    package var snapshotConnections: Int
    /// A chunk of a snapshot is meant to have so many bytes of rows, and is cut at twice as many. Smaller for tests.
    var chunkBytes = 2 << 20
    /// A part of a table has about so many bytes. Smaller for tests.
    var partBytes: UInt64 = 32 << 20
    /// What the server's views and log show for our connections, unless the URL chooses an application_name.
    package var applicationName: String
    /// What columns of the type numeric hold: `numeric` for strings in events, `number` for numbers.
    var numeric = ValueType.numeric
    /// True to let libpq read the stream also where an own reader could, as it does under TLS. For tests.
    var readsThroughLibPQ = false
    /// How often server, slot and publication are looked at while the stream runs. Shorter for tests.
    var watchInterval = Duration.seconds(10)
    /// A transaction that has been open for so long may have been forgotten. Shorter for tests.
    var forgottenAfter = Duration.seconds(60)
    /// How long nothing may move before that is said; see ``StallWatch``. Shorter for tests.
    var stallPatience = Duration.seconds(60)
    /// How long the slot may keep WAL that was confirmed; see ``RestartWatch``. Shorter for tests.
    var restartPatience = Duration.seconds(300)
    /// And how much. Less for tests.
    var restartRetainedMin = RestartWatch.retainedMin
    /// How far apart two looks at the slot's room must be to foretell anything. Nearer for tests.
    var forecastSpan = WALForecast.spanMin
    /// A batch is handed over at this size in bytes, before it is complete. Smaller for tests.
    var batchBytes = 768 << 10

    /// The settings of `source.postgres`.
    package static let table: [Setting] = [
        Setting(
            "url", .text,
            "How to reach the database: a URI (`postgres://user@host:5432/shop`) or a keyword/value string, as libpq "
                + "takes it. What it leaves out comes from libpq's environment variables, service and password files.",
            isRequired: true, isSecret: true),
        Setting(
            "tables", .list,
            "The tables to capture as `schema.table`; `*` stands for any characters (`public.*`), capitals matter, and"
                + " double quotes go around a schema with a dot or a name with a star.",
            isRequired: true),
        Setting("exclude", .list, "The tables that are not captured although `tables` has them, in the same form."),
        TableChoices.setting,
        Setting(
            "slot", .text,
            "The logical replication slot; made if missing. By default `millrace_` and the pipeline's name."),
        Setting(
            "failover", .flag,
            "Whether a slot that is made on a server from 17 on is carried over to its standbys, as far as they keep "
                + "slots in step (`sync_replication_slots`).",
            default: .flag(true)),
        Setting(
            "publication", .text,
            "The publication; made for the named tables if missing, and missing tables are added to it. By default "
                + "`millrace_` and the pipeline's name."),
        Setting(
            "status_interval", .duration,
            "How often the server hears from Millrace at least. A third of the server's wal_sender_timeout is never "
                + "exceeded.",
            default: .duration(.seconds(10))),
        Setting(
            "messages", .list,
            "Logical messages that become events, by prefix: what the application writes with "
                + "`pg_logical_emit_message`. `*` stands for any characters. Prefixes that begin with `millrace` "
                + "are kept for Millrace.",
            default: .list([])),
        Setting(
            "context_prefix", .text,
            "The prefix of the messages by which an application tells correlation, causation and trace context of its "
                + "transaction, as JSON.",
            default: .text(MessageChoice.defaultContextPrefix)),
        Setting(
            "transactions", .flag,
            "Whether the begin and the end of each transaction become events of `pg_logical.transaction`, the end with "
                + "the number of events.",
            default: .flag(false)),
        Setting(
            "snapshot", .choice(["initial", "never"]),
            "Whether rows that were in a table before its changes are captured arrive as snapshot events. With `never` "
                + "only `millrace snapshot` reads them.",
            default: .text("initial")),
        Setting(
            "snapshot_url", .text,
            "Where rows are read for snapshots: a standby of `url`, to spare it; or the primary of `url` when that is "
                + "a standby, on which nothing can be marked. By default `url`.",
            isSecret: true),
        Setting(
            "snapshot_connections", .integer(1...16),
            "How many connections read rows for snapshots at the same time, beside the stream's own.",
            default: .integer(2)),
        Setting(
            "numeric", .choice(["string", "number"]),
            "How events spell values of the type numeric: `string` keeps every digit for every reader; `number` "
                + "keeps them in the event too, but many readers turn numbers into doubles. NaN and infinities are "
                + "strings in both.",
            default: .text("string")),
    ]

    /// Checks what the kinds of the settings cannot say. Nothing of `url` is ever quoted in a problem.
    package init(values: SettingValues, pipelineName: String) throws(SettingProblem) {
        var check = SettingCheck()
        let byDefault = Self.defaultName(pipelineName)
        url = values.text("url") ?? ""
        applicationName = "millrace \(pipelineName)"
        Self.lookAtConnections(values, &check)
        let named = values.list("tables") ?? []
        tables = check.attempt { () throws(SettingProblem) in try Self.patterns(named, "tables") } ?? []
        if named.isEmpty { check.note(SettingProblem("tables", "names no table", hint: "write tables: [public.*]")) }
        excluded =
            check.attempt { () throws(SettingProblem) in
                try Self.patterns(values.list("exclude") ?? [], "exclude")
            } ?? []
        let choices = check.attempt { () throws(SettingProblem) in try TableChoices(values.groups("choices") ?? []) }
        if let choices { self.choices = choices } else { self.choices = try TableChoices() }
        slot = values.text("slot") ?? byDefault
        publication = values.text("publication") ?? byDefault
        Self.lookAtNames(slot, publication, &check)
        isFailoverWanted = values.flag("failover") ?? true
        readsOldRows = values.text("snapshot") != "never"
        snapshotURL = values.text("snapshot_url")
        snapshotConnections = values.integer("snapshot_connections") ?? 2
        statusInterval = values.duration("status_interval") ?? .seconds(10)
        messages = check.attempt { () throws(SettingProblem) in try Self.messages(values) } ?? MessageChoice()
        numeric = values.text("numeric") == "number" ? .number : .numeric
        if statusInterval < .milliseconds(100) || statusInterval > .seconds(3600) {
            check.note(SettingProblem("status_interval", "must lie between 100ms and 1h"))
        }
        try check.finish()
    }

    private static func lookAtConnections(_ values: SettingValues, _ check: inout SettingCheck) {
        let url = values.text("url") ?? ""
        if let problem = connectionProblem(url) {
            check.note(
                SettingProblem(
                    "url", problem,
                    hint: "write postgres://user@host:5432/database or host=… port=… dbname=… user=…"))
        }
        if let other = values.text("snapshot_url"), let problem = connectionProblem(other) {
            check.note(
                SettingProblem(
                    "snapshot_url", problem, hint: "write it like url, or take it out unless url is a standby"))
        }
    }

    private static func lookAtNames(_ slot: String, _ publication: String, _ check: inout SettingCheck) {
        if slot.isEmpty || slot.utf8.count > nameLengthMax || !slot.unicodeScalars.allSatisfy(isSlotLetter) {
            check.note(
                SettingProblem(
                    "slot", "\"\(slot)\" is no name for a slot",
                    hint: "use 1 to \(nameLengthMax) lower-case letters, digits and underscores"))
        }
        let hasZero = publication.unicodeScalars.contains("\0")
        if publication.isEmpty || publication.utf8.count > nameLengthMax || hasZero {
            check.note(
                SettingProblem(
                    "publication", "\"\(publication)\" is no name for a publication",
                    hint: "use 1 to \(nameLengthMax) bytes"))
        }
    }

    private static func messages(_ values: SettingValues) throws(SettingProblem) -> MessageChoice {
        var choice = MessageChoice()
        choice.marksTransactions = values.flag("transactions") ?? false
        choice.contextPrefix = values.text("context_prefix") ?? choice.contextPrefix
        guard !choice.contextPrefix.isEmpty, choice.contextPrefix != MessageChoice.ownPrefix else {
            throw SettingProblem(
                "context_prefix", "\"\(choice.contextPrefix)\" cannot be the prefix of context messages",
                hint: "take it out for \"\(MessageChoice.defaultContextPrefix)\", or choose a name of your own")
        }
        for text in values.list("messages") ?? [] {
            guard !text.isEmpty, !MessageChoice.isOwn(text), text != choice.contextPrefix else {
                throw SettingProblem(
                    "messages", "\"\(text)\" cannot be captured: it is \(text.isEmpty ? "empty" : "kept for Millrace")",
                    hint: "name the application's own prefixes")
            }
            choice.prefixes.append(TablePattern(text))
        }
        return choice
    }

    /// True when a table of this name is to be captured.
    func captures(schema: String, table: String) -> Bool {
        tables.contains { $0.matches(schema: schema, table: table) }
            && !excluded.contains { $0.matches(schema: schema, table: table) }
    }

    /// True when a table without a replica identity stops a start. At the first start every one does, and later one
    /// that is named and new. A table that only a pattern matches is then left out with a warning, because whoever
    /// makes one must not stop the capture of all others; so is one that is published already, whose damage is done.
    func refusesKeyless(_ table: TableSelection.Table, isResuming: Bool, isPublished: Bool) -> Bool {
        if !isResuming { return true }
        return !isPublished && names(table)
    }

    /// True for a table that is named, and not only matched by a pattern.
    func names(_ table: TableSelection.Table) -> Bool {
        tables.contains { $0.isLiteral && $0.matches(schema: table.schema, table: table.name) }
    }

    /// `millrace_` and the pipeline's name in the letters that a slot may have.
    private static func defaultName(_ pipelineName: String) -> String {
        let letters = pipelineName.lowercased().unicodeScalars.map { scalar -> Character in
            isSlotLetter(scalar) ? Character(scalar) : "_"
        }
        return String(("millrace_" + String(letters)).prefix(nameLengthMax))
    }

    /// The patterns of a list; one without a wildcard must name its schema.
    static func patterns(_ texts: [String], _ setting: String) throws(SettingProblem) -> [TablePattern] {
        var check = SettingCheck()
        let patterns = texts.map { TablePattern($0) }
        for (index, pattern) in patterns.enumerated() {
            let (place, text) = ("\(setting)[\(index)]", pattern.text)
            if !pattern.isWellFormed {
                check.note(SettingProblem(place, "\(text) has a double quote that is not closed"))
            } else if pattern.isLiteral, !pattern.hasSchema {
                check.note(SettingProblem(place, "\"\(text)\" has no schema", hint: "write public.\(text)"))
            }
        }
        try check.finish()
        return patterns
    }

    /// NAMEDATALEN - 1.
    private static let nameLengthMax = 63

    private static func isSlotLetter(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "_"
    }

    /// Why a text is no connection string; nil when it is one. Of what libpq says only the name of a parameter that it
    /// does not know is passed on: anything else may be a part of a password.
    private static func connectionProblem(_ url: String) -> String? {
        var words: UnsafeMutablePointer<CChar>?
        let options = url.isEmpty ? nil : unsafe PQconninfoParse(url, &words)
        if let options = unsafe options {
            unsafe PQconninfoFree(options)
            return nil
        }
        let said = unsafe words.map { unsafe String(cString: $0) } ?? ""
        if let words = unsafe words { unsafe PQfreemem(words) }
        for prefix in ["invalid URI query parameter: \"", "invalid connection option \""] where said.hasPrefix(prefix) {
            let name = said.dropFirst(prefix.count).prefix { $0 != "\"" }
            let isName = name.utf8.allSatisfy { (97...122).contains($0) || $0 == 95 }
            if isName, !name.isEmpty { return "has a parameter \"\(name)\", which libpq does not know" }
        }
        return "is no connection string that libpq understands"
    }
}

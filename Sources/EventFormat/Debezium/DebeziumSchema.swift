internal import ByteKit
internal import ChangeModel

/// The schemas of keys and values as Kafka Connect's JSON converter writes them. Made once a relation, never for a row.
struct DebeziumSchema {
    /// The schemas as JSON.
    let key: String
    let value: String

    init(_ relation: Relation, topic: String, options: DebeziumOptions, isPostgres: Bool) {
        if relation.isWithoutTable {
            let isMessage = relation.name == "message"
            key = isMessage ? Self.messageKey : Self.transactionKey
            value = isMessage ? Self.messageValue(topic, isPostgres) : Self.transactionValue
            return
        }
        let columns = relation.columns
        key = Self.structure(
            relation.keyColumns.map { Self.field(columns[$0], options, isOptional: false) }, name: topic + ".Key")
        // Old rows come with their keys alone, so what is no key may be missing, whatever the table says.
        let fields = columns.map { Self.field($0, options, isOptional: $0.keyPosition == nil) }
        let row = { (field: String) in
            Self.structure(fields, name: topic + ".Value", isOptional: true, field: field)
        }
        value = Self.structure(
            [row("before"), row("after"), Self.source(isPostgres), Self.transaction, Self.plain("string", "op")]
                + Self.times(isOptional: true),
            name: topic + ".Envelope", version: 2)
    }

    /// What stands before a key or value that says its schema.
    func wrapped(_ schema: String) -> String { #"{"schema":"# + schema + #","payload":"# }

    // MARK: Parts

    private static func text(_ value: String) -> String {
        var buffer = OutputBuffer(capacity: 64)
        buffer.append(jsonString: value)
        return String(validatingUTF8: buffer.bytes) ?? "\"\""
    }

    private static func plain(
        _ type: String, _ field: String? = nil, isOptional: Bool = false, name: String? = nil,
        version: Int? = nil, parameters: [(String, String)] = [], more: String = ""
    ) -> String {
        var words = #"{"type":""# + type + "\"" + more + #","optional":"# + (isOptional ? "true" : "false")
        if let name { words += #","name":"# + text(name) }
        if let version { words += #","version":"# + String(version) }
        if !parameters.isEmpty {
            words += #","parameters":{"# + parameters.map { text($0) + ":" + text($1) }.joined(separator: ",") + "}"
        }
        if let field { words += #","field":"# + text(field) }
        return words + "}"
    }

    private static func structure(
        _ fields: [String], name: String, version: Int? = nil, isOptional: Bool = false, field: String? = nil
    ) -> String {
        plain(
            "struct", field, isOptional: isOptional, name: name, version: version,
            more: #","fields":["# + fields.joined(separator: ",") + "]")
    }

    private static func times(isOptional: Bool) -> [String] {
        ["ts_ms", "ts_us", "ts_ns"].map { plain("int64", $0, isOptional: isOptional) }
    }

    /// What Debezium calls its blocks about transactions.
    private static let metadata = "event"
    private static let transaction = structure(
        [plain("string", "id"), plain("int64", "total_order"), plain("int64", "data_collection_order")],
        name: metadata + ".block", version: 1, isOptional: true, field: "transaction")

    private static func source(_ isPostgres: Bool) -> String {
        let snapshot = plain(
            "string", "snapshot", isOptional: true, name: "io.debezium.data.Enum", version: 1,
            parameters: [
                ("allowed", "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental")
            ])
        var fields = ["version", "connector", "name"].map { plain("string", $0) }
        fields += [plain("int64", "ts_ms"), snapshot, plain("string", "db")]
        fields += [plain("string", "sequence", isOptional: true)]
        fields += ["ts_us", "ts_ns"].map { plain("int64", $0, isOptional: true) }
        fields += ["schema", "table"].map { plain("string", $0) }
        if isPostgres {
            fields += ["txId", "lsn", "xmin"].map { plain("int64", $0, isOptional: true) }
            fields += [
                plain("string", "origin", isOptional: true), plain("int64", "origin_lsn", isOptional: true),
            ]
        }
        let connector = isPostgres ? "postgresql" : "sqlite"
        return structure(fields, name: "io.debezium.connector.\(connector).Source", field: "source")
    }

    // MARK: What is no row

    private static let messageKey = structure(
        [plain("string", "prefix", isOptional: true)], name: "io.debezium.connector.common.MessageKey", version: 1)

    private static func messageValue(_ topic: String, _ isPostgres: Bool) -> String {
        let content = structure(
            [plain("string", "prefix", isOptional: true), plain("bytes", "content", isOptional: true)],
            name: "io.debezium.connector.common.Message", version: 1, field: "message")
        return structure(
            [
                plain("string", "op"), plain("int64", "ts_ms", isOptional: true), source(isPostgres), transaction,
                content,
            ],
            name: "io.debezium.connector.common.MessageValue", version: 1)
    }

    private static let transactionKey = structure(
        [plain("string", "id")], name: "io.debezium.connector.common.TransactionMetadataKey", version: 1)

    private static let transactionValue: String = {
        let collection = structure(
            [plain("string", "data_collection"), plain("int64", "event_count")], name: metadata + ".collection",
            version: 1)
        return structure(
            [
                plain("string", "status"), plain("string", "id"), plain("int64", "event_count", isOptional: true),
                plain("array", "data_collections", isOptional: true, more: #","items":"# + collection),
                plain("int64", "ts_ms"),
            ],
            name: "io.debezium.connector.common.TransactionMetadataValue", version: 1)
    }()

    // MARK: Columns

    private static func field(_ column: Column, _ options: DebeziumOptions, isOptional: Bool) -> String {
        schema(DebeziumType(column), options, isOptional: isOptional, field: column.name)
    }

    private static func schema(
        _ type: DebeziumType, _ options: DebeziumOptions, isOptional: Bool, field: String?
    ) -> String {
        func named(_ plainType: String, _ name: String, _ parameters: [(String, String)] = []) -> String {
            plain(plainType, field, isOptional: isOptional, name: name, version: 1, parameters: parameters)
        }
        if case .array(let element, _) = type.shape {
            let items = schema(DebeziumType(element), options, isOptional: true, field: nil)
            return plain("array", field, isOptional: isOptional, more: #","items":"# + items)
        }
        if case .enumeration(let labels) = type.shape {
            return named("string", "io.debezium.data.Enum", [("allowed", labels.joined(separator: ","))])
        }
        let leaf = type.leaf(options)
        if options.times == .connect, let name = connectNames[leaf.form] {
            return named(leaf.form == .timestampMillis ? "int64" : "int32", name)
        }
        if let (plainType, name) = names[leaf.form] { return named(plainType, name) }
        switch leaf.form {
        case .boolean, .bit: return plain("boolean", field, isOptional: isOptional)
        case .integer: return plain(integerType(type.type), field, isOptional: isOptional)
        case .float: return plain(type.type == .float32 ? "float" : "double", field, isOptional: isOptional)
        case .bytes: return plain("bytes", field, isOptional: isOptional)
        case .decimal:
            let digits = type.precision.map { [("connect.decimal.precision", String($0))] } ?? []
            return named("bytes", decimalName, [("scale", String(leaf.parameter))] + digits)
        case .money: return named("bytes", decimalName, [("scale", "2")])
        case .variableDecimal:
            return structure(
                [plain("int32", "scale"), plain("bytes", "value")], name: "io.debezium.data.VariableScaleDecimal",
                version: 1, isOptional: isOptional, field: field)
        case .decimalNumber, .moneyNumber: return plain("double", field, isOptional: isOptional)
        case .bits:
            return named("bytes", "io.debezium.data.Bits", [("length", String(type.numbers.first ?? Int(Int32.max)))])
        case .point:
            return structure(
                [
                    plain("double", "x"), plain("double", "y"), plain("bytes", "wkb", isOptional: true),
                    plain("int32", "srid", isOptional: true),
                ], name: "io.debezium.data.geometry.Point", version: 1, isOptional: isOptional, field: field)
        case .hstoreMap:
            return plain(
                "map", field, isOptional: isOptional,
                more: #","keys":{"type":"string","optional":false},"values":{"type":"string","optional":true}"#)
        default: return text(type, named) ?? plain("string", field, isOptional: isOptional)
        }
    }

    /// The types whose values are texts with a name.
    private static func text(
        _ type: DebeziumType, _ named: (String, String, [(String, String)]) -> String
    ) -> String? {
        switch (type.type, type.name) {
        case (.json, _): named("string", "io.debezium.data.Json", [])
        case (.uuid, _): named("string", "io.debezium.data.Uuid", [])
        case (.other, "xml"): named("string", "io.debezium.data.Xml", [])
        case (.other, "ltree"): named("string", "io.debezium.data.Ltree", [])
        case (.other, "tsvector"): named("string", "io.debezium.data.TsVector", [])
        default: nil
        }
    }

    private static func integerType(_ type: ValueType) -> String {
        switch type {
        case .int16: "int16"
        case .int32: "int32"
        default: "int64"
        }
    }

    /// The names of Kafka Connect's own types.
    private static let connectNames: [DebeziumForm: String] = [
        .days: "org.apache.kafka.connect.data.Date", .timeMillis: "org.apache.kafka.connect.data.Time",
        .timestampMillis: "org.apache.kafka.connect.data.Timestamp",
    ]
    private static let decimalName = "org.apache.kafka.connect.data.Decimal"
    /// The forms that have one name.
    private static let names: [DebeziumForm: (String, String)] = [
        .days: ("int32", "io.debezium.time.Date"), .isoDate: ("string", "io.debezium.time.IsoDate"),
        .timeMillis: ("int32", "io.debezium.time.Time"), .timeMicros: ("int64", "io.debezium.time.MicroTime"),
        .timeNanos: ("int64", "io.debezium.time.NanoTime"), .isoTime: ("string", "io.debezium.time.IsoTime"),
        .timestampMillis: ("int64", "io.debezium.time.Timestamp"),
        .timestampMicros: ("int64", "io.debezium.time.MicroTimestamp"),
        .timestampNanos: ("int64", "io.debezium.time.NanoTimestamp"),
        .isoTimestamp: ("string", "io.debezium.time.IsoTimestamp"),
        .zonedTimestamp: ("string", "io.debezium.time.ZonedTimestamp"),
        .zonedTime: ("string", "io.debezium.time.ZonedTime"),
        .durationMicros: ("int64", "io.debezium.time.MicroDuration"),
        .isoDuration: ("string", "io.debezium.time.Interval"), .hstoreJSON: ("string", "io.debezium.data.Json"),
    ]
}

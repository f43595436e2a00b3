internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// Everything about a relation version that is the same in all of its events, written once when it is first seen:
/// names, types and references as bytes of JSON.
final class ColumnPlan: Sendable {
    struct Column: BitwiseCopyable {
        var form: TextForm
        var isKey: Bool
        /// True when the type says that a value is base64, so that events need not.
        var isKnownAsBase64: Bool
        /// The place of its ``ValueNode``, for the form `structure`.
        var node: UInt32
        /// `,"name":` in the fragments.
        var member: ByteRange
    }

    let version: RelationVersion
    let columns: [Column]
    /// The parts of structured values.
    let nodes: [ValueNode]
    /// Indices of the key's columns in the order of the key.
    let keyColumns: [Int]
    let fragments: Fragments
    /// For events whose attributes stand beside their data.
    let context: ContextFragments?
    /// How rows become events of the application; nil for every table but an outbox.
    let outbox: OutboxPlan?
    /// The line that files begin with; nil in formats that have none.
    let header: String?
    /// How the rows become records of Debezium's form; nil for the other formats.
    let debezium: DebeziumPlan?
    /// What ids begin with: the pipeline's name and a hyphen.
    let idPrefix: ByteRange
    /// True when the pipeline's name stands in events without escapes.
    let isNameItself: Bool
    private let text: FrozenBytes

    init(
        _ version: RelationVersion, pipelineName: String, format: EventFormat, form: RecordForm = .line,
        debezium parts: DebeziumParts? = nil
    ) {
        self.version = version
        var writer = FragmentWriter()
        var nodes = ValueNodes()
        columns = version.relation.columns.map { column in
            let form = TextForm(column.type, column.shape)
            let node =
                if let parts {
                    nodes.add(DebeziumType(column), parts.options)
                } else {
                    form == .structure ? nodes.add(column.shape, writer: &writer) : 0
                }
            return Column(
                form: form, isKey: column.keyPosition != nil, isKnownAsBase64: form == .bytes,
                node: UInt32(truncatingIfNeeded: node), member: writer.member(column.name))
        }
        self.nodes = nodes.all
        keyColumns = version.relation.keyColumns
        switch format {
        case .cloudEvents: fragments = writer.cloudEventFragments(version, pipelineName)
        case .row: fragments = writer.rowFragments(version, pipelineName)
        case .csv: fragments = writer.csvFragments(version)
        case .debezium: fragments = Fragments()
        }
        context = form == .binary && format == .cloudEvents ? writer.contextFragments(version, pipelineName) : nil
        outbox = OutboxPlan(
            version.relation, pipelineName: pipelineName, format: format, form: form, writer: &writer)
        header = format == .csv ? Self.csvHeader(version.relation) : nil
        if let parts {
            debezium = DebeziumPlan(
                version.relation, parts, nodes: nodes.all, places: columns.map { Int($0.node) }, writer: &writer)
        } else {
            debezium = nil
        }
        idPrefix = writer.fragment { $0.append(utf8: pipelineName + "-") }
        isNameItself = writer.fragment { $0.append(openJSONString: pipelineName + "-") }.length == idPrefix.length + 1
        text = writer.finish()
    }

    /// The bytes of a fragment.
    @inline(__always)
    @_lifetime(borrow self)
    func bytes(_ fragment: ByteRange) -> RawSpan {
        unsafe _overrideLifetime(RawSpan(_unsafeBytes: text.unsafeBytes(fragment.indices)), borrowing: self)
    }
}

/// The runs of bytes between the parts of an event that change from row to row. Each format uses its own ones.
struct Fragments {
    /// What depends on the operation, by raw value less one.
    var operations: [OperationFragments] = []
    /// From the end of the sequence up to the time (row) or from the time to the sequence (CloudEvents).
    var middle = ByteRange.empty
    /// Row format: the names of the members behind ``middle``.
    var unchanged = ByteRange.empty
    var previousKey = ByteRange.empty
    var base64 = ByteRange.empty
    var beforeBase64 = ByteRange.empty
    var asText = ByteRange.empty
    var beforeAsText = ByteRange.empty
    /// Row format: between the id and the sequence.
    var sequence = ByteRange.empty
}

/// The fragments of one operation.
struct OperationFragments: BitwiseCopyable {
    /// Up to the sequence in the id.
    var head = ByteRange.empty
    /// CloudEvents: from the id to the subject.
    var type = ByteRange.empty
    /// CloudEvents: the data up to the key.
    var data = ByteRange.empty
}

/// Collects fragments in one run of bytes.
struct FragmentWriter: ~Copyable {
    private var text = OutputBuffer(capacity: 1024)

    mutating func fragment(_ body: (inout OutputBuffer) -> Void) -> ByteRange {
        let start = text.count
        body(&text)
        return ByteRange(
            offset: UInt32(truncatingIfNeeded: start), length: UInt32(truncatingIfNeeded: text.count - start))
    }

    /// `,"name":`
    mutating func member(_ name: String) -> ByteRange { fragment { $0.append(member: name) } }

    mutating func cloudEventFragments(_ version: RelationVersion, _ pipelineName: String) -> Fragments {
        var fragments = Fragments()
        let relation = version.relation
        let head = fragment { text in
            text.append("{\"specversion\":\"1.0\",\"id\":")
            text.append(openJSONString: pipelineName + "-")
        }
        for operation in Operation.allCases {
            let type = fragment { text in
                text.append("\",\"source\":")
                text.append(jsonString: "/millrace/" + uriSegment(pipelineName))
                text.append(",\"type\":")
                text.append(jsonString: eventType(relation, operation))
            }
            let data = fragment { text in
                text.append(",\"data\":{\"op\":\"")
                text.append(operation.name)
                text.append("\",\"schema\":")
                text.append(jsonString: relation.schema)
                text.append(",\"table\":")
                text.append(jsonString: relation.name)
                text.append(",\"key\":")
            }
            fragments.operations.append(OperationFragments(head: head, type: type, data: data))
        }
        fragments.middle = fragment { text in
            text.append("\",\"datacontenttype\":\"application/json\",\"dataschema\":")
            text.append(jsonString: dataSchema(version))
            text.append(",\"sequence\":\"")
        }
        return fragments
    }

    mutating func rowFragments(_ version: RelationVersion, _ pipelineName: String) -> Fragments {
        var fragments = Fragments()
        let names = MetadataNames(avoiding: version.relation.columns.lazy.map(\.name))
        for operation in Operation.allCases {
            let head = fragment { text in
                text.append(member: names.name("_op"))
                text.append(jsonString: operation.name.description)
                text.append(member: names.name("_id"))
                text.append(openJSONString: pipelineName + "-")
            }
            fragments.operations.append(OperationFragments(head: head))
        }
        fragments.sequence = fragment { text in
            text.append("\"")
            text.append(member: names.name("_sequence"))
            text.append("\"")
        }
        fragments.middle = fragment { text in
            text.append("\"")
            text.append(member: names.name("_schema"))
            text.append(jsonString: version.relation.schema)
            text.append(member: names.name("_table"))
            text.append(jsonString: version.relation.name)
            text.append(member: names.name("_dataschema"))
            text.append(jsonString: dataSchema(version))
            text.append(member: names.name("_committed_at"))
            text.append("\"")
        }
        fragments.unchanged = fragment { $0.append(member: names.name("_unchanged")) }
        fragments.previousKey = fragment { $0.append(member: names.name("_previous_key")) }
        fragments.base64 = fragment { $0.append(member: names.name("_base64")) }
        fragments.beforeBase64 = fragment { $0.append(member: names.name("_before_base64")) }
        fragments.asText = fragment { $0.append(member: names.name("_as_text")) }
        fragments.beforeAsText = fragment { $0.append(member: names.name("_before_as_text")) }
        return fragments
    }

    consuming func finish() -> FrozenBytes { text.freeze() }
}

/// Names of the metadata in a row event: a name that a column has already gets one more `_`, until no column has it.
struct MetadataNames {
    private let columns: Set<[UInt8]>

    init(avoiding columns: some Sequence<String>) { self.columns = Set(columns.map { Array($0.utf8) }) }

    func name(_ wanted: String) -> String {
        var name = wanted
        while columns.contains(Array(name.utf8)) { name = "_" + name }
        return name
    }
}

extension OutputBuffer {
    /// Appends `,"name":`.
    fileprivate mutating func append(member name: String) {
        append(UInt8(ascii: ","))
        append(jsonString: name)
        append(UInt8(ascii: ":"))
    }

    /// Appends a JSON string without its closing quote.
    fileprivate mutating func append(openJSONString text: String) {
        append(jsonString: text)
        truncate(to: count - 1)
    }
}

/// `schema.table.operation`; a message, whose table says the same as its operation, is `schema.table`.
func eventType(_ relation: Relation, _ operation: Operation) -> String {
    relation.qualifiedName + (operation == .message ? "" : "." + operation.name.description)
}

/// Where the registry has the contract of a relation version.
func dataSchema(_ version: RelationVersion) -> String {
    "/subjects/\(uriSegment(version.subject))/versions/\(version.version)"
}

/// Text as one segment of a URI's path: what RFC 3986 (section 3.3) does not allow there is percent-encoded.
func uriSegment(_ text: String) -> String {
    var segment = ""
    for byte in text.utf8 {
        let character = Character(Unicode.Scalar(byte))
        if byte < 0x80, character.isLetter || character.isNumber || "-._~!$&'()*+,;=:@".contains(character) {
            segment.append(character)
        } else {
            segment += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
    }
    return segment
}

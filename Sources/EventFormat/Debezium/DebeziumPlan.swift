internal import ByteKit
internal import ChangeModel

/// What the records of a relation version have in common, beside its ``ColumnPlan``.
final class DebeziumPlan: Sendable {
    /// The name of the topic.
    let topic: String
    /// The number that events of the table are counted under.
    let collection: Int
    /// What stands for a value that is not known, by column.
    let unavailable: [ByteRange]
    /// Of the block `source`: up to the time; from there to the marker of snapshots; up to the sequence; from the last
    /// time to the transaction's number.
    let source: (head: ByteRange, snapshot: ByteRange, database: ByteRange, table: ByteRange)
    /// `{"topic":"…","key":`
    let recordHead: ByteRange
    /// `{"schema":…,"payload":`, empty without schemas.
    let keySchema: ByteRange
    let valueSchema: ByteRange

    init(
        _ relation: Relation, _ parts: DebeziumParts, nodes: [ValueNode], places: [Int],
        writer: inout FragmentWriter
    ) {
        let options = parts.options
        topic = parts.topic(of: relation)
        collection = parts.collection
        unavailable = places.map { place in
            writer.fragment { $0.append(utf8: Self.unavailableValue(nodes, place)) }
        }
        let name = parts.prefix
        let isTable = !relation.isWithoutTable
        let head = writer.fragment { text in
            text.append("{\"version\":")
            text.append(jsonString: options.version)
            text.append(",\"connector\":")
            text.append(jsonString: parts.isPostgres ? "postgresql" : parts.sourceKind)
            text.append(",\"name\":")
            text.append(jsonString: name)
            text.append(",\"ts_ms\":")
        }
        let snapshot = writer.fragment { $0.append(",\"snapshot\":\"") }
        let database = writer.fragment { text in
            text.append("\",\"db\":")
            text.append(jsonString: options.database)
            text.append(",\"sequence\":\"[")
        }
        let table = writer.fragment { text in
            text.append(",\"schema\":")
            text.append(jsonString: isTable ? relation.schema : "")
            text.append(",\"table\":")
            text.append(jsonString: isTable ? relation.name : "")
        }
        source = (head, snapshot, database, table)
        let topic = topic
        recordHead = writer.fragment { text in
            text.append("{\"topic\":")
            text.append(jsonString: topic)
            text.append(",\"key\":")
        }
        guard options.hasSchemas else {
            (keySchema, valueSchema) = (.empty, .empty)
            return
        }
        let schema = DebeziumSchema(relation, topic: topic, options: options, isPostgres: parts.isPostgres)
        keySchema = writer.fragment { $0.append(utf8: schema.wrapped(schema.key)) }
        valueSchema = writer.fragment { $0.append(utf8: schema.wrapped(schema.value)) }
    }

    /// The word for a value that is not known, in the form of its type: bytes are bytes of it, and so are numbers in an
    /// array.
    private static func unavailableValue(_ nodes: [ValueNode], _ place: Int) -> String {
        let node = nodes[place]
        let word = DebeziumOptions.unavailable
        if node.kind == .array {
            let element = nodes[Int(node.firstChild)]
            if element.kind == .plain, element.leaf?.form == .integer {
                return "[" + word.utf8.map { String($0) }.joined(separator: ",") + "]"
            }
            return "[" + unavailableValue(nodes, Int(node.firstChild)) + "]"
        }
        switch node.leaf?.form {
        case .bytes:
            var text = OutputBuffer(capacity: 64)
            text.append(base64: Array(word.utf8).rawBytes)
            return "\"" + (String(validatingUTF8: text.bytes) ?? "") + "\""
        case .hstoreMap: return "{\"\(word)\":\"\(word)\"}"
        case .hstoreJSON: return #""{\"\#(word)\":\"\#(word)\"}""#
        default: return "\"\(word)\""
        }
    }
}

/// What a plan is made of that the relation does not say.
struct DebeziumParts {
    var options: DebeziumOptions
    var pipelineName: String
    var sourceKind: String
    /// The number of the relation's table.
    var collection: Int

    var isPostgres: Bool { sourceKind == "postgres" }
    var prefix: String { options.topicPrefix ?? pipelineName }

    /// What a topic of a pipeline begins with, before a dot.
    static func topicFront(_ prefix: String) -> String { sanitized(prefix) }

    /// `prefix.schema.table`; what a topic's name cannot have becomes `_`.
    func topic(of relation: Relation) -> String {
        if relation.isWithoutTable { return Self.sanitized(prefix + "." + relation.name) }
        return Self.sanitized(prefix + "." + relation.qualifiedName)
    }

    private static func sanitized(_ name: String) -> String {
        String(
            String.UnicodeScalarView(
                name.unicodeScalars.map { scalar in
                    let isPlain =
                        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
                        || "._-".unicodeScalars.contains(scalar)
                    return isPlain ? scalar : "_"
                }))
    }
}

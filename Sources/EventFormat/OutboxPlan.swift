internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// What the events of an outbox relation have in common, beside its ``ColumnPlan``.
struct OutboxPlan: Sendable {
    let route: OutboxRoute
    /// True when the payload's column is of a type that holds nothing but JSON.
    let holdsJSON: Bool
    let fragments: OutboxFragments

    /// Nil for a table like any other, and for a route that does not fit its relation.
    init?(
        _ relation: Relation, pipelineName: String, format: EventFormat, form: RecordForm, writer: inout FragmentWriter
    ) {
        guard let route = relation.outbox, route.fits(columnCount: relation.columns.count) else { return nil }
        self.route = route
        let payload = relation.columns[route.payload]
        holdsJSON = payload.type == .json || payload.shape == .json
        fragments =
            switch (format, form) {
            case (.cloudEvents, .line): writer.outboxEventFragments(relation, route, pipelineName)
            case (.cloudEvents, .binary): writer.outboxContextFragments(relation, route, pipelineName)
            case (.row, _): writer.outboxRowFragments(relation)
            case (.csv, _): OutboxFragments()
            case (.debezium, _): writer.outboxContextFragments(relation, route, pipelineName)
            }
    }
}

/// The runs of bytes between the parts of an outbox event that change from row to row.
struct OutboxFragments {
    /// CloudEvents: up to the id. Row format: from the columns to the id.
    var head = ByteRange.empty
    /// CloudEvents: from the id to the type.
    var type = ByteRange.empty
    /// CloudEvents: the names of the attributes, in the route's order.
    var attributes: [ByteRange] = []
    /// Row format: from the id to the sequence.
    var sequence = ByteRange.empty
    /// Row format: from the sequence to the topic.
    var topic = ByteRange.empty
    /// Row format: from the topic to the time.
    var time = ByteRange.empty
}

extension FragmentWriter {
    fileprivate mutating func outboxEventFragments(
        _ relation: Relation, _ route: OutboxRoute, _ pipelineName: String
    ) -> OutboxFragments {
        var fragments = OutboxFragments()
        fragments.head = fragment { $0.append("{\"specversion\":\"1.0\",\"id\":\"") }
        fragments.type = fragment { text in
            text.append("\",\"source\":")
            // Ids are the table's own, so the table belongs to what they are unique in.
            text.append(jsonString: outboxSource(relation, pipelineName))
            text.append(",\"type\":\"")
        }
        for attribute in route.attributes {
            fragments.attributes.append(
                fragment { text in
                    text.append(UInt8(ascii: ","))
                    text.append(jsonString: attribute.name)
                    text.append(":\"")
                })
        }
        return fragments
    }

    fileprivate mutating func outboxRowFragments(_ relation: Relation) -> OutboxFragments {
        var fragments = OutboxFragments()
        let names = MetadataNames(avoiding: relation.columns.lazy.map(\.name))
        func member(_ name: String, _ text: inout OutputBuffer) {
            text.append(UInt8(ascii: ","))
            text.append(jsonString: names.name(name))
            text.append(UInt8(ascii: ":"))
        }
        fragments.head = fragment { text in
            member("_op", &text)
            text.append("\"insert\"")
            member("_id", &text)
            text.append(UInt8(ascii: "\""))
        }
        fragments.sequence = fragment { text in
            text.append(UInt8(ascii: "\""))
            member("_sequence", &text)
            text.append(UInt8(ascii: "\""))
        }
        fragments.topic = fragment { text in
            text.append(UInt8(ascii: "\""))
            member("_schema", &text)
            text.append(jsonString: relation.schema)
            member("_table", &text)
            text.append(jsonString: relation.name)
            member("_topic", &text)
            text.append(UInt8(ascii: "\""))
        }
        fragments.time = fragment { text in
            text.append(UInt8(ascii: "\""))
            member("_committed_at", &text)
            text.append(UInt8(ascii: "\""))
        }
        return fragments
    }
}

/// What the ids of an outbox's events are unique in.
func outboxSource(_ relation: Relation, _ pipelineName: String) -> String {
    "/millrace/" + uriSegment(pipelineName) + "/" + uriSegment(relation.qualifiedName)
}

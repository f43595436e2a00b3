import ChangeModel
package import ConnectorKit
package import EventFormat
import Sensitivity

/// What becomes of an event that a sink's receiver refuses for good.
package enum RejectionPolicy: Sendable {
    /// It waits beside the log, with the later events of its key, until somebody delivers it again or discards it.
    case quarantine
    /// The sink stops in front of it.
    case halt
}

/// A sink of the pipeline with its choice of events.
package struct SinkPlan: Sendable {
    /// The sink's name in the configuration.
    package var name: String
    /// Where records go.
    package var sink: any EventSink
    /// The form of the records.
    package var format: EventFormat
    /// How records of Debezium's format are spelled.
    package var debezium: DebeziumOptions
    /// Which tables it wants; a table that fits any of them is delivered.
    package var tables: [TablePattern]
    /// Which classes it may see.
    package var clearance: Clearance
    /// What becomes of an event that the receiver refuses for good.
    package var onRejected: RejectionPolicy
    /// Where it begins when it has no cursor yet.
    package var start: StartPosition

    /// A plan of its parts.
    package init(
        name: String, sink: any EventSink, format: EventFormat, tables: [TablePattern], clearance: Clearance = .usual,
        onRejected: RejectionPolicy = .quarantine, start: StartPosition = .earliest,
        debezium: DebeziumOptions = DebeziumOptions()
    ) {
        self.name = name
        self.sink = sink
        self.format = format
        self.tables = tables
        self.clearance = clearance
        self.onRejected = onRejected
        self.start = start
        self.debezium = debezium
    }

    /// True when the sink wants the events of a relation: patterns are `schema.table`, or the bare table name.
    func wants(_ relation: Relation) -> Bool {
        tables.contains { $0.matches(schema: relation.schema, table: relation.name) }
    }
}

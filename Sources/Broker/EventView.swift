package import ConnectorKit
package import EventFormat
package import Sensitivity

/// What a reader of the log wants to see: which tables, in which form, and what it is cleared for.
package struct EventView: Sendable, Equatable {
    /// The tables; a table that fits any of them is seen. Without any, all are.
    package var tables: [TablePattern]
    /// The form of the events.
    package var format: EventFormat
    /// Which classes it may see.
    package var clearance: Clearance

    /// A view of its parts.
    package init(tables: [TablePattern] = [], format: EventFormat = .cloudEvents, clearance: Clearance = .usual) {
        self.tables = tables
        self.format = format
        self.clearance = clearance
    }

    /// The forms that readers may ask for: those in which each event can be one value of JSON, because readers go on
    /// behind an event.
    package static let formats = [EventFormat.cloudEvents, .row, .debezium]

    /// True when the events of a table are seen.
    package func includes(schema: String, table: String) -> Bool {
        tables.isEmpty || tables.contains { $0.matches(schema: schema, table: table) }
    }

    /// The patterns of a list with commas between them; a comma inside of double quotes is a part of a name. Nil for a
    /// pattern that is empty or whose quotes are not closed.
    package static func tables(_ text: String) -> [TablePattern]? {
        var texts = [""]
        var isQuoted = false
        for character in text {
            if character == "\"" { isQuoted.toggle() }
            if character == ",", !isQuoted { texts.append("") } else { texts[texts.count - 1].append(character) }
        }
        let patterns = texts.map { TablePattern($0) }
        return patterns.allSatisfy { $0.isWellFormed && !$0.text.isEmpty } ? patterns : nil
    }
}

/// What is told to every reader of a log: whose events they are, and how classified values are treated.
package struct EventOrigin: Sendable {
    /// The pipeline's name.
    package var pipelineName: String
    /// The kind of the source, `postgres` or `sqlite`.
    package var sourceKind: String
    /// How classified values are treated.
    package var sensitivity: SensitivityRules
    /// The folder of the contracts.
    package var schemasDirectory: String
    /// How records of Debezium's format are spelled.
    package var debezium = DebeziumOptions()
    /// The name of the source's database, for formats that tell it; nil while it is not known.
    package var database: @Sendable () -> String? = { nil }

    /// An origin of its parts.
    package init(pipelineName: String, sourceKind: String, sensitivity: SensitivityRules, schemasDirectory: String) {
        self.pipelineName = pipelineName
        self.sourceKind = sourceKind
        self.sensitivity = sensitivity
        self.schemasDirectory = schemasDirectory
    }
}

package import ChangeModel
package import ConnectorKit

/// Which tables are outboxes, and what their columns mean: the configuration's list `outbox`.
package struct OutboxRules: Sendable {
    /// One entry of the list.
    package struct Rule: Sendable {
        /// The tables that it is for.
        package var tables: [TablePattern]
        /// The names of the columns that every outbox has.
        package var columns: Columns
        /// Columns that become attributes, by the attribute's name.
        package var attributes: [String: String]
        /// What the payload is taken for.
        package var content: OutboxRoute.Content
        /// The topic of the events, with `{schema}`, `{table}` and at most one `{aggregatetype}` in it.
        package var topic: String

        /// A rule of its parts.
        package init(
            tables: [TablePattern], columns: Columns = Columns(), attributes: [String: String] = [:],
            content: OutboxRoute.Content = .auto, topic: String = "outbox.event.{aggregatetype}"
        ) {
            self.tables = tables
            self.columns = columns
            self.attributes = attributes
            self.content = content
            self.topic = topic
        }
    }

    /// The names of the columns that every outbox has.
    package struct Columns: Sendable, Equatable {
        /// The event's id.
        package var id = "id"
        /// The event's type.
        package var type = "type"
        /// The kind of thing that the event is about.
        package var aggregateType = "aggregatetype"
        /// Which thing it is about.
        package var aggregateID = "aggregateid"
        /// The event's data.
        package var payload = "payload"

        /// The names that are used unless the configuration says otherwise.
        package init() {}

        var all: [String] { [id, type, aggregateType, aggregateID, payload] }
    }

    /// The entries; the first one that is for a table counts.
    package var rules: [Rule]

    /// Rules in the order of the configuration.
    package init(_ rules: [Rule] = []) { self.rules = rules }

    /// True when no table is an outbox.
    package var isEmpty: Bool { rules.isEmpty }

    /// True when a table is an outbox.
    package func covers(_ relation: Relation) -> Bool {
        rule(schema: relation.schema, table: relation.name) != nil
    }

    func rule(schema: String, table: String) -> Rule? {
        rules.first { rule in rule.tables.contains { $0.matches(schema: schema, table: table) } }
    }
}

extension OutboxRules.Rule {
    /// What a table's columns mean, or which ones it lacks.
    func route(of relation: Relation) -> Result<OutboxRoute, MissingColumns> {
        var missing: [String] = []
        func index(_ name: String) -> Int {
            if let index = relation.columns.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
                return index
            }
            missing.append(name)
            return 0
        }
        let named = columns.all.map(index)
        let attributes = attributes.sorted { $0.key < $1.key }
            .map { OutboxRoute.Attribute(name: $0.key, column: index($0.value)) }
        guard missing.isEmpty else { return .failure(MissingColumns(names: missing)) }
        let (prefix, suffix) = topicParts(of: relation)
        return .success(
            OutboxRoute(
                id: named[0], type: named[1], aggregateType: named[2], aggregateID: named[3], payload: named[4],
                attributes: attributes, content: content, topicPrefix: prefix, topicSuffix: suffix))
    }

    /// The topic before and behind the aggregate type. The names of the table are put in behind the split, so that a
    /// table named like a placeholder stays what it is.
    private func topicParts(of relation: Relation) -> (prefix: String, suffix: String?) {
        func named(_ text: Substring) -> String {
            text.split(separator: "{schema}", omittingEmptySubsequences: false)
                .map {
                    $0.split(separator: "{table}", omittingEmptySubsequences: false).joined(separator: relation.name)
                }
                .joined(separator: relation.schema)
        }
        let parts = topic.split(separator: "{aggregatetype}", maxSplits: 1, omittingEmptySubsequences: false)
        return (named(parts[0]), parts.count > 1 ? named(parts[1]) : nil)
    }

    /// Names of columns that a table lacks.
    struct MissingColumns: Error {
        var names: [String]
    }
}

// MARK: - What doctor finds

extension OutboxRules {
    /// What of the rules cannot work with these tables.
    package func findings(_ tables: [TableColumns]) -> [Finding] {
        var findings: [Finding] = []
        for (index, rule) in rules.enumerated() {
            for pattern in rule.tables
            where !tables.contains(where: { pattern.matches(schema: $0.schema, table: $0.table) }) {
                findings.append(
                    Finding(
                        .problem, "outbox.table_missing",
                        "outbox[\(index)] is for \(pattern.text): no captured table matches",
                        fix: "correct the name (capitals matter), or capture the table: add it to the source's tables"))
            }
        }
        for table in tables {
            guard let rule = rule(schema: table.schema, table: table.table) else { continue }
            let missing = (rule.columns.all + rule.attributes.values.sorted()).filter { !table.columns.contains($0) }
            if missing.isEmpty { continue }
            let failure = OutboxFailure.missingColumns(missing, of: "\(table.schema).\(table.table)")
            findings.append(Finding(.problem, failure.code, failure.message, fix: failure.hint))
        }
        if findings.isEmpty, !isEmpty {
            findings.append(Finding(.ok, "outbox.missing_column", "every outbox table has its columns"))
        }
        return findings
    }
}

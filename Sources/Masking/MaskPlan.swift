package import ChangeModel
package import ConnectorKit

/// What is done to each column of a relation, and the relation that comes of it.
package final class MaskPlan: Sendable {
    /// What is done to a column's values.
    package enum Action: Sendable, Hashable {
        case keep
        case drop
        /// NULL stands for every value.
        case blank
        case redact
        case hash
        case truncate(Int)
        /// Of PostgreSQL's text of bytes, digits in hexadecimal, the first bytes stay.
        case truncateBytes(Int)
    }

    /// The relation as it is after that.
    package let relation: Relation
    /// By column of the source's relation.
    package let actions: [Action]

    /// Nil when every column stays as it is.
    ///
    /// The columns that make an outbox's row an event must stay or be hidden in their place; of the others, and of its
    /// attributes, any may go.
    package init?(_ source: Relation, actions: [Action]) {
        guard actions.count == source.columns.count, !actions.allSatisfy({ $0 == .keep }) else { return nil }
        let actions = zip(source.columns, actions).map { Self.fitting($1, $0) }
        self.actions = actions
        let columns = zip(source.columns, actions).compactMap { column, action -> Column? in
            switch action {
            case .keep, .truncateBytes: column
            case .drop: nil
            case .blank, .redact, .hash, .truncate: Self.masked(column, isBlank: action == .blank)
            }
        }
        relation = Relation(
            sourceID: source.sourceID, schema: source.schema, name: source.name, columns: columns,
            outbox: source.outbox?.masked(by: actions), comment: source.comment)
    }

    /// Nil when no rule masks a column of the relation.
    convenience init?(_ source: Relation, _ rules: MaskRules) throws(ConnectorFailure) {
        var actions: [Action] = []
        for column in source.columns {
            let mask = rules.mask(of: column.name, schema: source.schema, table: source.name)
            if let mask, mask != .hash, column.keyPosition != nil {
                throw MaskFailure.key(column.name, of: source.qualifiedName, mask)
            }
            actions.append(mask.map { Action($0) } ?? .keep)
        }
        self.init(source, actions: actions)
    }

    /// PostgreSQL's number of bytea.
    private static let bytea: UInt32 = 17

    /// Bytes are cut as bytes, and stay what they are. A value of SQLite has its own type, whatever its column says.
    private static func fitting(_ action: Action, _ column: Column) -> Action {
        // Where a table is read and not its changes, the type's number alone is known.
        let isBytes = column.typeID == bytea || column.type == .bytes && column.typeID != 0
        guard case .truncate(let length) = action, isBytes else { return action }
        return .truncateBytes(length)
    }

    /// Whatever the column held, it holds text now (PostgreSQL's type 25), and events and schema say so.
    private static func masked(_ column: Column, isBlank: Bool) -> Column {
        var masked = Column(
            name: column.name, type: .text, typeName: "text", typeID: column.typeID == 0 ? 0 : 25,
            keyPosition: column.keyPosition, isNullable: column.isNullable || isBlank)
        masked.comment = column.comment
        return masked
    }
}

extension MaskPlan.Action {
    /// What a mask does.
    package init(_ mask: ColumnMask) {
        switch mask {
        case .drop: self = .drop
        case .redact: self = .redact
        case .hash: self = .hash
        case .truncate(let length): self = .truncate(length)
        }
    }
}

extension OutboxRoute {
    /// The route among the columns that are left. A payload that was masked is text.
    fileprivate func masked(by actions: [MaskPlan.Action]) -> OutboxRoute {
        func place(_ column: Int) -> Int {
            column - actions.prefix(max(0, min(column, actions.count))).count { $0 == .drop }
        }
        func isThere(_ column: Int) -> Bool { !actions.indices.contains(column) || actions[column] != .drop }
        let isPlain = actions.indices.contains(payload) && actions[payload] != .keep
        return OutboxRoute(
            id: place(id), type: place(type), aggregateType: place(aggregateType), aggregateID: place(aggregateID),
            payload: place(payload),
            attributes: attributes.filter { isThere($0.column) }
                .map { Attribute(name: $0.name, column: place($0.column)) },
            content: isPlain ? .text : content, topicPrefix: topicPrefix, topicSuffix: topicSuffix)
    }
}

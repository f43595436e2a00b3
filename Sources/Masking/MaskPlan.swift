internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// What is done to each column of a relation, and the relation that comes of it.
final class MaskPlan: Sendable {
    /// What is done to a column's values.
    enum Action: Sendable, Equatable {
        case keep
        case drop
        case redact
        case hash
        case truncate(Int)
    }

    /// The relation as it is stored.
    let relation: Relation
    /// By column of the source's relation.
    let actions: [Action]

    /// Nil when no column of the relation is masked.
    init?(_ source: Relation, _ rules: MaskRules) throws(ConnectorFailure) {
        var actions: [Action] = []
        var columns: [Column] = []
        for column in source.columns {
            let mask = rules.mask(of: column.name, schema: source.schema, table: source.name)
            if let mask, mask != .hash, column.keyPosition != nil {
                throw MaskFailure.key(column.name, of: source.qualifiedName, mask)
            }
            actions.append(mask.map(Self.action) ?? .keep)
            if mask == .drop { continue }
            columns.append(mask == nil ? column : Self.masked(column))
        }
        if actions.allSatisfy({ $0 == .keep }) { return nil }
        self.actions = actions
        relation = Relation(
            sourceID: source.sourceID, schema: source.schema, name: source.name, columns: columns,
            comment: source.comment)
    }

    private static func action(_ mask: ColumnMask) -> Action {
        switch mask {
        case .drop: .drop
        case .redact: .redact
        case .hash: .hash
        case .truncate(let length): .truncate(length)
        }
    }

    /// Whatever the column held, it holds text now (PostgreSQL's type 25), and events and schema say so.
    private static func masked(_ column: Column) -> Column {
        var masked = Column(
            name: column.name, type: .text, typeName: "text", typeID: column.typeID == 0 ? 0 : 25,
            keyPosition: column.keyPosition, isNullable: column.isNullable)
        masked.comment = column.comment
        return masked
    }
}

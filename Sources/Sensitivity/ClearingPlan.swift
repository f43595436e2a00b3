internal import ChangeModel
internal import ConnectorKit
internal import Masking

extension MaskPlan {
    /// What somebody with a clearance may see of a relation whose columns have these classes; nil for all of it.
    convenience init?(
        _ relation: Relation, _ classes: [SensitivityClass], _ clearance: Clearance, _ rules: SensitivityRules
    ) {
        let actions = zip(relation.columns.indices, classes).map { index, sensitivity -> Action in
            if clearance.allows(sensitivity) { return .keep }
            return Self.hiding(rules.mask(of: sensitivity), ofColumn: index, in: relation)
        }
        self.init(relation, actions: actions)
    }

    /// A mask, or what takes its place where without the column there would be no event, or no order of events.
    private static func hiding(_ mask: ColumnMask, ofColumn index: Int, in relation: Relation) -> Action {
        if relation.columns[index].keyPosition != nil { return .hash }
        guard let route = relation.outbox else { return Action(mask) }
        if index == route.id || index == route.aggregateID { return .hash }
        if index == route.type || index == route.aggregateType { return mask == .hash ? .hash : .redact }
        // NULL is an event without data.
        return index == route.payload && mask == .drop ? .blank : Action(mask)
    }
}

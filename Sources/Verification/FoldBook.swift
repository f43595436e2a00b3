import ChangeModel
import ConnectorKit
import EventLog

/// The folds of all tables, fed batch by batch.
///
/// Consumers know a table by its name, so a fold is of a name: what is told under another one, such as a dead letter
/// that is released after a rename, belongs to that.
struct FoldBook {
    private let store: FoldStore
    private let view: TableView
    private let isWanted: (Relation) -> Bool
    private var folds: [String: TableFold] = [:]
    /// The folds that no table of the view took.
    private var claimed: Set<String> = []
    /// Under which names tables were changed that capture has not met yet, by number.
    private var unmetNames: [UInt32: Set<String>] = [:]

    init(_ store: FoldStore, _ view: TableView, isWanted: @escaping (Relation) -> Bool) {
        self.store = store
        self.view = view
        self.isWanted = isWanted
    }

    /// Folds the changes of a batch that the view has.
    mutating func take(
        _ batch: ChangeBatch, versions: [RelationVersion]?, firstOffset: UInt64?
    ) throws(ConnectorFailure) {
        var byRelation: [TableFold?] = []
        for relation in batch.relations {
            // Messages and the ends of transactions are rows of no table; the server reserves the schema's name.
            let isTable = relation.schema != "pg_logical"
            byRelation.append(isTable && isWanted(relation) ? try fold(of: relation) : nil)
        }
        var met: Int?
        for index in 0..<batch.changeCount {
            let change = batch.change(at: index)
            let relation = Int(change.relation)
            let isMet = met == relation || versions != nil
            guard byRelation[relation] != nil || !isMet else { continue }
            let isInView = view.contains(batch.transaction(at: Int(change.transaction)), batch.identity(at: index))
            // Also under a name that was not asked for, which the table had for a while.
            if isInView, !isMet {
                meet(batch.relations[relation])
                met = relation
            }
            guard let fold = byRelation[relation] else { continue }
            guard isInView else {
                if change.operation == .snapshot { fold.hasSnapshotBeyondView = true }
                if change.operation == .truncate, change.ordinal >= ChangeIdentity.snapshotOrdinalMin {
                    fold.isForgottenBeyondView = true
                }
                continue
            }
            try fold.adopt(batch.relations[relation], version: versions?[relation].version)
            try fold.apply(change, of: batch, place: firstOffset.map { $0 + UInt64(index) })
        }
    }

    /// The fold of a table of the view, in the table's present form.
    mutating func claim(_ relation: Relation) throws(ConnectorFailure) -> TableFold {
        claimed.insert(relation.qualifiedName)
        let fold = try fold(of: relation)
        try fold.adopt(relation, version: nil)
        return fold
    }

    /// Lets go of what a table took on disk.
    mutating func release(_ relation: Relation) throws(ConnectorFailure) {
        try folds.removeValue(forKey: relation.qualifiedName)?.rows.drop()
    }

    /// The folds of tables that the view does not have.
    var unclaimed: [TableFold] { folds.filter { !claimed.contains($0.key) && $0.value.eventCount > 0 }.map(\.value) }

    /// Why consumers forget what they have of a table, but not in this view yet; nil when they do not.
    func whyForgotten(_ table: Relation) -> String? {
        if folds[table.qualifiedName]?.isForgottenBeyondView ?? false { return "it is being read again" }
        let isUnmet = unmetNames.contains { number, names in
            number == table.sourceID ? names != [table.qualifiedName] : names.contains(table.qualifiedName)
        }
        return isUnmet ? "the log lacks changes of it, or of another table, that were made under another name" : nil
    }

    private mutating func meet(_ relation: Relation) {
        if view.numbersOutliveNames { unmetNames[relation.sourceID, default: []].insert(relation.qualifiedName) }
    }

    private mutating func fold(of relation: Relation) throws(ConnectorFailure) -> TableFold {
        if let known = folds[relation.qualifiedName] { return known }
        let made = try TableFold(store)
        folds[relation.qualifiedName] = made
        return made
    }
}

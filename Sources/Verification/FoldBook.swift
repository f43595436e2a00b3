import ChangeModel
import ConnectorKit
import EventLog

/// The folds of all tables, fed batch by batch.
struct FoldBook {
    private let store: FoldStore
    private let view: TableView
    private let isWanted: (Relation) -> Bool
    private var folds: [String: TableFold] = [:]
    /// The folds that no table of the view took.
    private var claimed: Set<String> = []

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
        for index in 0..<batch.changeCount {
            let change = batch.change(at: index)
            let relation = Int(change.relation)
            guard let fold = byRelation[relation] else { continue }
            guard view.contains(batch.transaction(at: Int(change.transaction)), batch.identity(at: index)) else {
                if change.operation == .snapshot { fold.hasSnapshotBeyondView = true }
                continue
            }
            try fold.adopt(batch.relations[relation], version: versions?[relation].version)
            try fold.apply(change, of: batch, place: firstOffset.map { $0 + UInt64(index) })
        }
    }

    /// The fold of a table of the view, in the table's present form.
    mutating func claim(_ relation: Relation) throws(ConnectorFailure) -> TableFold {
        claimed.insert(identity(of: relation))
        let fold = try fold(of: relation)
        try fold.adopt(relation, version: nil)
        return fold
    }

    /// Lets go of what a table took on disk.
    mutating func release(_ relation: Relation) throws(ConnectorFailure) {
        try folds.removeValue(forKey: identity(of: relation))?.rows.drop()
    }

    /// The folds of tables that the view does not have.
    var unclaimed: [TableFold] { folds.filter { !claimed.contains($0.key) && $0.value.eventCount > 0 }.map(\.value) }

    private func identity(of relation: Relation) -> String {
        view.tellsTablesApartByNumber ? String(relation.sourceID) : relation.qualifiedName
    }

    private mutating func fold(of relation: Relation) throws(ConnectorFailure) -> TableFold {
        let identity = identity(of: relation)
        if let known = folds[identity] { return known }
        let made = try TableFold(store)
        folds[identity] = made
        return made
    }
}

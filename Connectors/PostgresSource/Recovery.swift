internal import ConnectorKit

/// What `millrace run --recover snapshot` may do: go on where a source must otherwise refuse because changes are lost,
/// and have the tables that lost them read anew.
///
/// Without leave every loss is refused. Nothing is done for a source that is whole.
struct Recovery {
    /// Which tables are read anew.
    enum Scope: Equatable {
        case nothing
        /// By oid.
        case tables(Set<UInt32>)
        case everything

        /// True when a table, by oid, is read anew.
        func concerns(_ table: UInt32) -> Bool {
            switch self {
            case .nothing: false
            case .tables(let ids): ids.contains(table)
            case .everything: true
            }
        }
    }

    /// True when somebody asked for it.
    let isAllowed: Bool
    private(set) var scope = Scope.nothing
    /// True when the old slot is of no use any more.
    private(set) var needsNewSlot = false
    /// What was said: publication and slot may meet the same loss.
    private var said: [ConnectorFailure] = []

    /// A recovery that has found nothing yet.
    init(isAllowed: Bool) { self.isAllowed = isAllowed }

    /// Takes a loss upon it, or throws it when nobody asked for that. `tables` are those that it concerns; nil for all.
    mutating func overcome(
        _ loss: ConnectorFailure, tables: Set<UInt32>? = nil, needsNewSlot: Bool,
        _ warning: (String) -> Void
    ) throws(ConnectorFailure) {
        guard isAllowed else { throw loss }
        if !said.contains(loss) { warning("recovering from [\(loss.code)] \(loss.message)") }
        said.append(loss)
        self.needsNewSlot = self.needsNewSlot || needsNewSlot
        switch (scope, tables) {
        case (.nothing, let tables?): scope = .tables(tables)
        case (.tables(let known), let tables?): scope = .tables(known.union(tables))
        default: scope = .everything
        }
    }
}

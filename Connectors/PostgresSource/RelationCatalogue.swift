internal import ChangeModel
internal import ConnectorKit

/// Completes what the server announces about a table by what only its catalogue knows: names of types, base types of
/// domains, and the primary key where the whole row is the replica identity.
///
/// The catalogue is asked once for each announcement. It may be newer than the announcement, or the table may be gone:
/// what it does not know any more is taken from the announcement itself, or from what was known before. A catalogue
/// that does not answer at all is a failure, because a guess would change the contract of the table.
final class RelationCatalogue: RelationSource {
    private let side: SideConnection
    private let settings: PostgresSettings
    private let notice: @Sendable (String) -> Void
    private var known: [UInt32: Relation] = [:]
    private var droppedTables: Set<String> = []
    private var ignoredContexts: [ContextProblem: Int] = [:]

    init(side: SideConnection, settings: PostgresSettings, notice: @escaping @Sendable (String) -> Void) {
        self.side = side
        self.settings = settings
        self.notice = notice
    }

    func relation(for message: RelationMessage) throws(ConnectorFailure) -> Relation? {
        guard settings.captures(schema: message.namespace, table: message.relationName) else {
            noteDropped(message)
            return nil
        }
        let types = try describe(message.columns)
        let keyNames = try keyNames(of: message)
        let columns = zip(message.columns, types).map { column, type in
            Column(
                name: column.name, type: type.value, typeName: type.name, typeID: column.typeID,
                typeModifier: column.typeModifier)
        }
        let relation = Relation(
            sourceID: message.relationID, schema: message.namespace, name: message.relationName,
            columns: Self.marking(keyNames, in: columns))
        if let before = known[message.relationID], before == relation { return before }
        known[message.relationID] = relation
        return relation
    }

    /// The key's columns are numbered in the order of the table, which the announcement alone fixes.
    private static func marking(_ keyNames: Set<String>, in columns: [Column]) -> [Column] {
        var position = 0
        return columns.map { column in
            guard keyNames.contains(column.name) else { return column }
            var column = column
            column.keyPosition = position
            column.isNullable = false
            position += 1
            return column
        }
    }

    /// Under DEFAULT and INDEX the announcement flags the key. Under FULL it flags every column, so that the primary
    /// key must come from the catalogue.
    private func keyNames(of message: RelationMessage) throws(ConnectorFailure) -> Set<String> {
        switch message.replicaIdentity {
        case .byDefault, .index: return Set(message.columns.filter(\.isKey).map(\.name))
        case .full, .nothing: break
        }
        let result = try side.query(Self.primaryKeyQuery, [String(message.relationID)])
        var names = Set(result.all.map { $0.text("attname") })
        if result.rows.isEmpty, let before = known[message.relationID] {
            names = Set(before.keyColumns.map { before.columns[$0].name })
        }
        return names.isSubset(of: message.columns.map(\.name)) ? names : []
    }

    private struct TypeDescription {
        var value: ValueType
        var name: String
    }

    /// The types of all columns by one query.
    private func describe(_ columns: [RelationMessage.Column]) throws(ConnectorFailure) -> [TypeDescription] {
        if columns.isEmpty { return [] }
        let result = try side.query(
            Self.typeQuery,
            [
                "{" + columns.map { String($0.typeID) }.joined(separator: ",") + "}",
                "{" + columns.map { String($0.typeModifier) }.joined(separator: ",") + "}",
            ])
        let rows = result.all
        return columns.indices.map { index in
            let id = columns[index].typeID
            let row = index < rows.count ? rows[index] : nil
            let base = row?.integer("base").flatMap { UInt32(exactly: $0) } ?? id
            // A type that was dropped since has no name any more.
            let name = row?["name"].flatMap { $0 == "???" ? nil : $0 } ?? "type \(id)"
            return TypeDescription(value: PostgresTypes.valueType(ofTypeID: base), name: name)
        }
    }

    /// Says it at the first, tenth, hundredth … time: an application may make the same mistake in each transaction.
    func ignored(_ context: ContextProblem) {
        let count = ignoredContexts[context, default: 0] + 1
        ignoredContexts[context] = count
        var step = count
        while step % 10 == 0 { step /= 10 }
        guard step == 1 else { return }
        notice(
            "a message \"\(settings.messages.contextPrefix)\" is not used as it is: \(context.text) (seen \(count) "
                + "times); the events of its transaction are delivered without what it says")
    }

    private func noteDropped(_ message: RelationMessage) {
        let name = message.namespace + "." + message.relationName
        guard droppedTables.insert(name).inserted else { return }
        notice(
            "table \(name) is in publication \"\(settings.publication)\" but not in \(PostgresFailure.tablesSetting): "
                + "its changes are left out")
    }

    private static let primaryKeyQuery = """
        SELECT a.attname FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = $1::pg_catalog.oid AND i.indisprimary AND i.indisvalid
        """

    /// A domain is followed down to the type that it stands for.
    private static let typeQuery = """
        WITH RECURSIVE wanted AS (
            SELECT n, type, modifier
            FROM unnest($1::pg_catalog.oid[], $2::pg_catalog.int4[]) WITH ORDINALITY AS w(type, modifier, n)),
        base AS (
            SELECT DISTINCT type AS type, type AS base FROM wanted
            UNION ALL
            SELECT b.type, t.typbasetype FROM base b
            JOIN pg_catalog.pg_type t ON t.oid = b.base AND t.typtype = 'd')
        SELECT pg_catalog.format_type(w.type, w.modifier) AS name,
            (SELECT b.base FROM base b LEFT JOIN pg_catalog.pg_type t ON t.oid = b.base
             WHERE b.type = w.type AND t.typtype IS DISTINCT FROM 'd' LIMIT 1) AS base
        FROM wanted w ORDER BY w.n
        """
}

internal import ChangeModel
internal import ConnectorKit

/// Completes what the server announces about a table by what only its catalogue knows: names and shapes of types, base
/// types of domains, and the primary key where the whole row is the replica identity.
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

    /// The relation has the columns that are captured, which may be fewer than were announced.
    func relation(for announced: RelationMessage) throws(ConnectorFailure) -> Relation? {
        guard settings.captures(schema: announced.namespace, table: announced.relationName) else {
            try noteDropped(announced)
            return nil
        }
        let message = keepingChosenColumns(announced)
        let described = try describe(message)
        let keyNames = try keyNames(of: message)
        let comments = try comments(on: message.relationID)
        let columns = Self.marking(keyNames, in: described).map { column in
            var column = column
            column.comment = comments[column.name]
            return column
        }
        let relation = Relation(
            sourceID: message.relationID, schema: message.namespace, name: message.relationName, columns: columns,
            comment: comments[""])
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
        var names = Set(result.all.compactMap { $0["attname"] })
        // No row at all: the table is gone. A table that is there without a key gives one row without a name.
        if result.all.isEmpty, let before = known[message.relationID] {
            names = Set(before.keyColumns.map { before.columns[$0].name })
        }
        return names.isSubset(of: message.columns.map(\.name)) ? names : []
    }

    /// What COMMENT said about the columns, by name, and, under the empty name, about the table.
    private func comments(on table: UInt32) throws(ConnectorFailure) -> [String: String] {
        let rows = try side.query(Self.commentQuery, [String(table)]).all
        return Dictionary(rows.map { ($0.text("attname"), $0.text("comment")) }, uniquingKeysWith: { $1 })
    }

    /// The columns with their types, by one query. A type that was dropped since is as it was before, if it was known.
    private func describe(_ message: RelationMessage) throws(ConnectorFailure) -> [Column] {
        if message.columns.isEmpty { return [] }
        let result = try side.query(
            TypeCatalogue.query,
            [
                "{" + message.columns.map { String($0.typeID) }.joined(separator: ",") + "}",
                "{" + message.columns.map { String($0.typeModifier) }.joined(separator: ",") + "}",
            ])
        var types = TypeCatalogue(result, numeric: settings.numeric)
        let before = known[message.relationID]
        return message.columns.map { announced in
            let use = TypeUse(id: announced.typeID, modifier: announced.typeModifier)
            guard let type = types.resolve(use) else {
                return unknown(announced, before, message.types.last { $0.typeID == announced.typeID })
            }
            var column = Column(
                name: announced.name, type: type.part.type, typeName: type.part.typeName, typeID: use.id,
                typeModifier: use.modifier, shape: type.part.shape)
            PostgresTypes.limit(&column, to: type.base)
            return column
        }
    }

    /// A column whose type was dropped since: as it was before, or as far as the server's announcement tells, which
    /// names the base type of a domain, but neither labels nor attributes.
    private func unknown(
        _ announced: RelationMessage.Column, _ before: Relation?, _ type: TypeMessage?
    ) -> Column {
        let earlier = before?.columns.first {
            $0.typeID == announced.typeID && $0.typeModifier == announced.typeModifier
        }
        var column =
            earlier
            ?? Column(
                name: announced.name, type: type.map { $0.valueType(numeric: settings.numeric) } ?? .other,
                typeName: type?.text ?? TypeCatalogue.nameless(announced.typeID), typeID: announced.typeID,
                typeModifier: announced.typeModifier)
        (column.name, column.keyPosition, column.isNullable) = (announced.name, nil, true)
        return column
    }

    /// A chosen column that is renamed is not chosen any more; somebody should know.
    private func keepingChosenColumns(_ announced: RelationMessage) -> RelationMessage {
        let (schema, table) = (announced.namespace, announced.relationName)
        guard let choice = settings.choices.choice(schema: schema, table: table) else { return announced }
        let missing = Set(choice.columns ?? []).subtracting(announced.columns.map(\.name)).sorted()
        if !missing.isEmpty {
            notice(
                "\(schema).\(table) has no column \(missing.joined(separator: ", ")) any more, which "
                    + "\(PostgresFailure.choicesSetting) names")
        }
        var message = announced
        message.columns.removeAll { !choice.keeps($0.name) }
        return message
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

    func currentNames(of tables: [UInt32]) throws(ConnectorFailure) -> [UInt32: CurrentName] {
        let rows = try side.query(Self.nameQuery, ["{\(tables.map(String.init).joined(separator: ","))}"]).all
        var names: [UInt32: CurrentName] = [:]
        for row in rows {
            guard let oid = UInt32(row.text("oid")) else { continue }
            names[oid] = CurrentName(
                schema: row.text("nspname"), table: row.text("relname"), isPartitioned: row.text("relkind") == "p")
        }
        return names
    }

    /// The server announces partitions too whose changes it sends under the name of their root. The catalogue may be
    /// newer, and a partition detached or dropped since: nothing is said of what is not in the publication any more.
    private func noteDropped(_ message: RelationMessage) throws(ConnectorFailure) {
        let name = message.namespace + "." + message.relationName
        if droppedTables.contains(name) { return }
        let roots = try side.query(Self.ancestorQuery, [String(message.relationID)]).all
        if roots.contains(where: { settings.captures(schema: $0.text("nspname"), table: $0.text("relname")) }) {
            return
        }
        let published = try side.query(
            Self.publishedQuery, [String(message.relationID), settings.publication])
        guard published.first != nil else { return }
        droppedTables.insert(name)
        notice(
            "table \(name) is in publication \"\(settings.publication)\" but not in \(PostgresFailure.tablesSetting): "
                + "its changes are left out")
    }

    /// Long comments are cut: they are for people, and stand in every version of a contract.
    private static let commentQuery = """
        SELECT a.attname, pg_catalog.left(d.description, 2000) AS comment FROM pg_catalog.pg_description d
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND a.attnum > 0
        WHERE d.objoid = $1::pg_catalog.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.description <> '' AND NOT coalesce(a.attisdropped, false)
        """

    private static let nameQuery = """
        SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::pg_catalog.oid[])
        """
    private static let ancestorQuery = """
        SELECT n.nspname, c.relname FROM pg_catalog.pg_partition_ancestors($1::pg_catalog.oid) a
        JOIN pg_catalog.pg_class c ON c.oid = a.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid <> $1::pg_catalog.oid
        """
    /// The view walks all tables of the publication, and is asked last.
    private static let publishedQuery = """
        SELECT c.oid FROM pg_catalog.pg_publication p
        JOIN pg_catalog.pg_class c ON c.oid = $1::pg_catalog.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE p.pubname = $2 AND (p.puballtables
            OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = c.oid)
            OR EXISTS (SELECT FROM pg_catalog.pg_publication_tables t
                WHERE t.pubname = p.pubname AND t.schemaname = n.nspname AND t.tablename = c.relname))
        """
    private static let primaryKeyQuery = """
        SELECT a.attname FROM pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indisvalid
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid
            AND a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])
        WHERE c.oid = $1::pg_catalog.oid
        """
}

internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// A published table with what it takes to read it as the stream shows it.
struct ReadableTable {
    /// The table with its published columns.
    var relation: Relation
    /// What stands behind FROM and LOCK TABLE.
    var source: String
    /// The publication's row filter as SQL; nil without one.
    var rowFilter: String?
    /// As the verification sees it.
    var viewed: ViewedTable

    /// The query for all rows that the stream would show.
    var query: String {
        let columns = relation.columns.map { SQLText.identifier($0.name) }.joined(separator: ", ")
        return "SELECT \(columns) FROM \(source)" + (rowFilter.map { " WHERE \($0)" } ?? "")
    }

    /// The captured tables of the publication, by name.
    static func list(
        _ settings: PostgresSettings, _ facts: ServerFacts,
        by ask: (String, [String]) throws(ConnectorFailure) -> QueryResult
    ) throws(ConnectorFailure) -> [ReadableTable] {
        let publication = try ask("SELECT * FROM pg_catalog.pg_publication WHERE pubname = $1", [settings.publication])
        guard let options = publication.first else {
            throw PostgresFailure.publicationMissing(settings.publication)
        }
        let unpublished = ["insert", "update", "delete", "truncate"].filter { !options.flag("pub" + $0) }
        let columns = try columns(settings, facts, ask)
        return try ask(tableQuery, [settings.publication]).all.filter {
            settings.captures(schema: $0.text("schemaname"), table: $0.text("tablename"))
        }.map { row in
            let (schema, table) = (row.text("schemaname"), row.text("tablename"))
            let choice = settings.choices.choice(schema: schema, table: table)
            let published = columns[row.text("oid")] ?? []
            let captured = published.filter { choice?.keeps($0.name) ?? true }
            let relation = Relation(
                sourceID: UInt32(row.text("oid")) ?? 0, schema: schema, name: table, columns: numberingKey(in: captured)
            )
            var viewed = ViewedTable(relation: relation)
            let leftOut = published.map(\.name).filter { !(choice?.keeps($0) ?? true) }
            if !leftOut.isEmpty {
                viewed.remarks.append(
                    "\(leftOut.joined(separator: ", ")) not compared: left out by \(PostgresFailure.choicesSetting)")
            }
            if !row.flag("is_readable") { viewed.obstacle = "the role may not SELECT from it" }
            if row.flag("has_hidden_rows") { viewed.obstacle = "row security hides rows of it from the role" }
            if let filter = row["rowfilter"] {
                viewed.remarks.append("only rows of the publication's filter: \(filter)")
            }
            if !unpublished.isEmpty {
                viewed.remarks.append("the publication leaves out \(unpublished.joined(separator: ", "))")
            }
            let name = SQLText.identifier(schema: relation.schema, table: relation.name)
            return ReadableTable(
                relation: relation, source: row.text("relkind") == "p" ? name : "ONLY " + name,
                rowFilter: row["rowfilter"], viewed: viewed)
        }
    }

    private static func columns(
        _ settings: PostgresSettings, _ facts: ServerFacts,
        _ ask: (String, [String]) throws(ConnectorFailure) -> QueryResult
    ) throws(ConnectorFailure) -> [String: [Column]] {
        let isPublished = facts.versionNumber >= 150_000 ? "a.attname = ANY (p.attnames)" : "true"
        let isSent = facts.versionNumber >= 180_000 ? "true" : "a.attgenerated = ''"
        var columns: [String: [Column]] = [:]
        for row in try ask(
            columnQuery + " AND \(isPublished) AND \(isSent) ORDER BY a.attrelid, a.attnum",
            [settings.publication]
        ).all {
            columns[row.text("oid"), default: []].append(
                Column(
                    name: row.text("attname"), type: .other, typeName: row.text("type"),
                    typeID: UInt32(row.text("atttypid")) ?? 0, typeModifier: Int32(row.text("atttypmod")) ?? -1,
                    keyPosition: row.flag("is_key") ? 0 : nil, isNullable: !row.flag("attnotnull")))
        }
        return columns
    }

    /// The key's columns are numbered in the order of the table, as in ``RelationCatalogue``.
    private static func numberingKey(in columns: [Column]) -> [Column] {
        var position = 0
        return columns.map { column in
            guard column.keyPosition != nil else { return column }
            var column = column
            column.keyPosition = position
            position += 1
            return column
        }
    }

    private static let tableQuery = """
        SELECT p.*, c.oid, c.relkind, pg_catalog.has_table_privilege(c.oid, 'SELECT') AS is_readable,
            c.relrowsecurity AND pg_catalog.row_security_active(c.oid) AS has_hidden_rows
        FROM pg_catalog.pg_publication_tables p
        JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
        WHERE p.pubname = $1 ORDER BY p.schemaname, p.tablename
        """

    /// The key is that of the replica identity; of a table that sends whole rows it is the primary key.
    private static let columnQuery = """
        SELECT a.attrelid AS oid, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
            pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
            EXISTS (SELECT FROM pg_catalog.pg_index i
                WHERE i.indrelid = c.oid AND a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])
                AND i.indisvalid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident
                    WHEN 'd' THEN i.indisprimary AND i.indimmediate ELSE i.indisprimary END) AS is_key
        FROM pg_catalog.pg_publication_tables p
        JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE p.pubname = $1
        """
}

/// The rows of a table, batch by batch.
final class RowBatches {
    private let table: ReadableTable
    private let connection: PostgresConnection
    private let checksText: Bool
    private var isAtEnd = false
    private static let batchBytes = 256 << 10

    /// Sends the query.
    init(
        _ table: ReadableTable, _ connection: PostgresConnection, checksText: Bool
    ) throws(ConnectorFailure) {
        self.table = table
        self.connection = connection
        self.checksText = checksText
        do throws(ServerError) {
            try connection.beginRows(table.query)
        } catch {
            throw PostgresFailure.because(of: error, .preparing)
        }
    }

    /// The next rows; nil at their end.
    func next() throws(ConnectorFailure) -> ChangeBatch? {
        if isAtEnd { return nil }
        var batch = ChangeBatchBuilder(capacity: Self.batchBytes + Self.batchBytes / 8)
        let relation = batch.index(of: table.relation)
        let transaction = batch.begin(TransactionInfo(commit: 0, id: 0, committedAt: 0))
        while batch.byteCount < Self.batchBytes {
            let tuple: ByteRange?
            do throws(ServerError) {
                tuple = try connection.nextRow { row in append(row, to: &batch) }
            } catch {
                throw PostgresFailure.because(of: error, .preparing)
            }
            guard let tuple else {
                isAtEnd = true
                break
            }
            batch.append(
                RowChange(
                    operation: .snapshot, relation: relation, transaction: transaction,
                    ordinal: ChangeIdentity.snapshotOrdinalMin, after: tuple))
        }
        do throws(ChangeBatchError) {
            return try batch.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(0)))
        } catch {
            throw PostgresFailure.batchTooLarge()
        }
    }

    private func append(_ row: RowOfResult, to batch: inout ChangeBatchBuilder) -> ByteRange {
        let checksText = checksText
        return batch.appendTuple(columnCount: row.count) { buffer in
            for column in 0..<row.count {
                if row.isNull(column) {
                    buffer.append(ValueKind.null)
                    continue
                }
                row.withBytes(column) { bytes in
                    let isText = !checksText || UTF8Check.isValid(bytes)
                    buffer.append(isText ? ValueKind.text : ValueKind.malformedText)
                    buffer.append(bigEndian: Int32(clamping: bytes.byteCount))
                    buffer.append(bytes)
                }
            }
        }
    }
}

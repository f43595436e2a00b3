internal import ConnectorKit

/// What must be done about the publication so that it is as the configuration wants it: the exact statements.
///
/// Tables of the publication that the configuration does not capture are never touched, nor are columns and conditions
/// of tables about which it says nothing.
struct PublicationDifference: Equatable {
    /// Statements that belong together, with the reason for them.
    struct Step: Equatable {
        enum Kind {
            case creation
            case addition
            case replacement
        }
        var kind: Kind
        var why: String
        var statement: String
    }

    /// The statements in their order; empty when the publication is as it should be.
    private(set) var steps: [Step] = []
    /// What is otherwise than somebody may think, and stays so.
    private(set) var notices: [String] = []
    /// What is wanted and left out all the same.
    private(set) var warnings: [String] = []

    var isEmpty: Bool { steps.isEmpty }

    /// Compares what is wanted with what is there.
    init(_ name: String, wanted: [PublishedTable], actual: PublicationState) {
        notices = wanted.compactMap { table in
            table.projection.map { "Millrace leaves columns of \(table.qualifiedName) out itself: \($0)" }
        }
        guard actual.exists else {
            steps = [
                Step(kind: .creation, why: "publication \"\(name)\" is missing", statement: Self.create(name, wanted))
            ]
            return
        }
        let missing = wanted.filter { !actual.tables.contains($0.qualifiedName) }
        if !missing.isEmpty {
            steps.append(
                Step(
                    kind: .addition,
                    why: "publication \"\(name)\" lacks \(missing.map(\.qualifiedName).joined(separator: ", "))",
                    statement: Self.add(name, missing)))
        }
        for table in wanted {
            guard let member = actual.members[table.qualifiedName] else { continue }
            compare(table, member, name)
        }
    }

    private mutating func compare(_ table: PublishedTable, _ member: PublicationState.Member, _ name: String) {
        let here = Self.words(columns: member.columns, filter: member.filter)
        guard table.isChosen else {
            if member != PublicationState.Member() {
                notices.append(
                    "publication \"\(name)\" sends \(here) of \(table.qualifiedName), about which "
                        + "\(PostgresFailure.choicesSetting) says nothing")
            }
            return
        }
        if member.columns.map(Set.init) == table.columns.map(Set.init), member.filter == table.filter { return }
        let wanted = Self.words(columns: table.columns, filter: table.filter)
        steps.append(
            Step(
                kind: .replacement,
                why: "publication \"\(name)\" sends \(here) of \(table.qualifiedName), and should send \(wanted)",
                statement: Self.replace(name, table)))
    }

    private static func words(columns: [String]?, filter: String?) -> String {
        let part = columns.map { "the columns \($0.joined(separator: ", "))" } ?? "all columns"
        return filter.map { "\(part) where \($0)" } ?? "\(part) of all rows"
    }
}

// MARK: - Statements

extension PublicationDifference {
    /// The statement that makes the publication for these tables, and only these.
    static func create(_ name: String, _ tables: [PublishedTable]) -> String {
        "CREATE PUBLICATION \(SQLText.identifier(name)) FOR TABLE \(tables.map(\.clause).joined(separator: ", ")) "
            + "WITH (publish_via_partition_root = true);"
    }

    /// The statement that adds tables to it.
    static func add(_ name: String, _ tables: [PublishedTable]) -> String {
        "ALTER PUBLICATION \(SQLText.identifier(name)) ADD TABLE \(tables.map(\.clause).joined(separator: ", "));"
    }

    /// The statements that give one of its tables other columns or another condition. SET TABLE would replace all of
    /// its tables.
    static func replace(_ name: String, _ table: PublishedTable) -> String {
        let publication = SQLText.identifier(name)
        return "BEGIN; ALTER PUBLICATION \(publication) DROP TABLE "
            + "\(table.reference); "
            + "ALTER PUBLICATION \(publication) ADD TABLE \(table.clause); COMMIT;"
    }

    /// The statement that makes it send partitions as their root.
    static func rootStatement(_ name: String) -> String {
        "ALTER PUBLICATION \(SQLText.identifier(name)) SET (publish_via_partition_root = true);"
    }
}

// MARK: - Looking

extension PublicationDifference {
    /// Looks at the server. Throws when what the configuration wants cannot be done, or would break the application's
    /// UPDATE and DELETE. The tables must have replica identities.
    ///
    /// A publication with an ancestor of a partition sends the partition's changes under the ancestor's name, so that a
    /// partition that is to be captured by itself would never arrive. One that is named is refused, and at the first
    /// start any; otherwise whoever moves a root away must not stop the capture of all others.
    init(
        _ settings: PostgresSettings, _ tables: [TableSelection.Table], _ state: PublicationState, _ version: Int,
        _ side: SideConnection, isResuming: Bool
    ) throws(ConnectorFailure) {
        var (wanted, leftOut): ([PublishedTable], [String]) = ([], [])
        for table in tables {
            guard let root = state.root(hiding: table) else {
                wanted.append(try PublishedTable(table, in: state, version, side))
                continue
            }
            let failure = PostgresFailure.partitionHidden(table, by: root, in: state, settings)
            if !isResuming || settings.names(table) { throw failure }
            leftOut.append(PostgresFailure.refusedWarning(table, failure))
        }
        self.init(settings.publication, wanted: wanted, actual: state)
        warnings = leftOut
    }
}

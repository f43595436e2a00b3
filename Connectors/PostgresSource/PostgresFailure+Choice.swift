internal import ConnectorKit

/// What can be wrong with the choice of tables, columns and rows.
extension PostgresFailure {
    static let choicesSetting = "source.postgres.choices"

    private static func setting(_ table: TableSelection.Table) -> String {
        "\(choicesSetting)[\(table.choice?.entry ?? 0)]"
    }

    static func choiceConflict(_ table: TableSelection.Table, _ setting: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.choice_conflict", .stop,
            "two entries of \(choicesSetting) say \(setting) for \(table.qualifiedName)",
            setting: Self.setting(table), hint: "leave one of them, with what both should say", exitCode: 2)
    }

    static func choiceUnused(_ pattern: String, _ why: String, setting: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.choice_unused", .stop, "\(pattern) means nothing here: \(why)", setting: setting,
            hint: "correct the name (capitals matter), or take it out", exitCode: 2)
    }

    static func columnMissing(_ table: TableSelection.Table, _ columns: [String]) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.column_missing", .stop,
            "\(table.qualifiedName) has no column \(columns.joined(separator: ", "))", setting: setting(table),
            hint: "correct the name (capitals matter), or take it out", exitCode: 2)
    }

    /// What is said of a table that has a column no more which is to be left out of it.
    static func lackingWarning(_ lacking: PublicationReview.Lacking) -> String {
        "table \(lacking.table.name) has no column \(lacking.columns.joined(separator: ", ")) any more, which "
            + "exclude_columns in \(choicesSetting) names: take it out there if it was dropped. If it was renamed, it "
            + "IS captured under its new name: put that in its place"
    }

    static func columnsLackKey(_ table: TableSelection.Table, _ columns: [String]) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.columns_lack_key", .stop,
            "without \(columns.joined(separator: ", ")), which identify the rows of \(table.qualifiedName), every "
                + "UPDATE and DELETE of it would fail in the application, and events would have no key",
            setting: setting(table), hint: "capture \(columns.joined(separator: ", ")) too", exitCode: 2)
    }

    static func whereBeyondKey(
        _ table: TableSelection.Table, _ columns: [String], of holder: String
    ) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.where_beyond_key", .stop,
            "the condition for \(table.qualifiedName) uses \(columns.joined(separator: ", ")), which "
                + "\(holder == table.qualifiedName ? "is" : "in \(holder) is") no part of the replica identity: every "
                + "UPDATE and DELETE would fail in the application",
            setting: setting(table) + ".where",
            hint: "ALTER TABLE \(table.identifier) REPLICA IDENTITY FULL; or a unique index of these columns and the "
                + "key, as REPLICA IDENTITY USING INDEX", exitCode: 2)
    }

    static func whereInvalid(_ table: TableSelection.Table, _ why: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.where_invalid", .stop, "the condition for \(table.qualifiedName) is none: \(why)",
            setting: setting(table) + ".where",
            hint: "write what could stand behind WHERE, with columns of the table and built-in functions", exitCode: 2)
    }

    static func whereUnavailable(
        _ table: TableSelection.Table, _ why: String, hint: String
    ) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.where_unavailable", .stop,
            "rows of \(table.qualifiedName) cannot be chosen by a condition: \(why)",
            setting: setting(table) + ".where",
            hint: hint, exitCode: 2)
    }

    static func publicationRefused(_ statement: String, _ why: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.publication_refused", .stop, "the server refused to change the publication: \(why)",
            setting: publicationSetting, hint: "it was asked for this: \(statement)")
    }
}

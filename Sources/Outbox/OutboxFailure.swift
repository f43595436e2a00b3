internal import ConnectorKit

/// Why a row of an outbox makes no event. None of them stops anything: the row is set aside.
enum OutboxFailure {
    private static let afterwards =
        "; what was set aside is delivered by the next start, or stays until it is discarded"

    static func missingColumns(_ names: [String], of table: String) -> ConnectorFailure {
        ConnectorFailure(
            "outbox.missing_column", .stop,
            "outbox table \(table) has no column \(names.joined(separator: ", ")): its rows make no events",
            setting: "outbox", hint: "name its columns under outbox … columns and attributes" + afterwards, exitCode: 1)
    }

    static func badRow(_ fault: RowFault, column: String, of table: String) -> ConnectorFailure {
        ConnectorFailure(
            "outbox.bad_row", .stop, "a row of outbox table \(table) makes no event: \(column) \(fault.text)",
            setting: "outbox",
            hint: "millrace deadletters show \(table) --data prints it; insert a right one in its place, then"
                + " millrace deadletters discard \(table)", exitCode: 1)
    }

    static func damaged(_ table: String) -> ConnectorFailure {
        ConnectorFailure(
            "outbox.damaged", .stop, "a row of outbox table \(table) does not have the columns of its table",
            hint: "please report this; nothing of the batch was stored")
    }
}

/// What is wrong with a value that an event needs.
enum RowFault: Error, Hashable {
    case isNull, isEmpty, isNotText, hasControlCharacters, isTooLong, isNotJSON

    var text: String {
        switch self {
        case .isNull: "is NULL"
        case .isEmpty: "is empty"
        case .isNotText: "is not text"
        case .hasControlCharacters: "has control characters in it"
        case .isTooLong: "is longer than \(OutboxRowCheck.aggregateTypeBytesMax) bytes"
        case .isNotJSON: "is not JSON"
        }
    }
}

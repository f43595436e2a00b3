import ChangeModel
import ConnectorKit

/// What is said about a row that is not valid under its contract.
enum InvalidRow {
    static let code = "schema.invalid_row"

    /// The failure; `reasons` name places and keywords, never values.
    static func failure(
        _ version: RelationVersion, _ identity: ChangeIdentity, _ reasons: [String]
    ) -> ConnectorFailure {
        let why = reasons.isEmpty ? "no reason is known" : reasons.joined(separator: "; ")
        return ConnectorFailure(
            code, .stop,
            "change \(sequence(identity)) of \(version.relation.qualifiedName) leaves a row that is not valid under "
                + "version \(version.version) of \(version.subject): \(why)",
            setting: "schemas.on_invalid",
            hint: "mend the contract: millrace schema register \(version.subject) FILE, made from what "
                + "`millrace schema show \(version.subject)@\(version.version)` prints, which has the form of this "
                + "row; or let such rows wait: schemas.on_invalid: quarantine",
            exitCode: 1)
    }

    /// As in events: `00000000016B3748-0000000A`.
    private static func sequence(_ identity: ChangeIdentity) -> String {
        hex(identity.commit, 16) + "-" + hex(UInt64(identity.ordinal), 8)
    }

    private static func hex(_ number: UInt64, _ width: Int) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

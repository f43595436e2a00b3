internal import ChangeModel
internal import ConnectorKit

/// Why it cannot be told what somebody may see. Every code stands in `docs/reference/errors.md`.
enum SensitivityFailure {
    static func classesUnknown(_ version: RelationVersion, latest: Int?) -> ConnectorFailure {
        let there = latest.map { "the highest version that is there is \($0)" } ?? "no version of it is there"
        return ConnectorFailure(
            "sensitivity.classes_unknown", .retry,
            "events under version \(version.version) of \(version.subject) wait: its schema says what is sensitive, "
                + "and " + there,
            setting: "schemas.directory",
            hint: "bring the version's file back (git checkout); whoever may see everything needs no schema: "
                + "clearance [public, internal, confidential, restricted]")
    }

    static func saltMissing(_ column: String, of relation: Relation) -> ConnectorFailure {
        ConnectorFailure(
            "sensitivity.salt_missing", .stop,
            "a hash has to stand for \(column) of \(relation.qualifiedName), and there is no mask_salt",
            setting: "mask_salt", hint: "add mask_salt: ${MASK_SALT}, with what openssl rand -hex 32 prints",
            exitCode: 2)
    }

    static func confused() -> ConnectorFailure {
        ConnectorFailure(
            "sensitivity.batch_damaged", .stop,
            "a batch cannot be cleared: its tables are not those that the log knows",
            hint: "please report this; nothing of the batch was shown")
    }
}

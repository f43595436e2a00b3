package import ConnectorKit

/// Why the registry did not do what it was asked. It never holds values of rows.
package struct RegistryFailure: Error, Sendable, Equatable {
    /// What kind of failure it is, by the number that registry clients know.
    package enum Code: Int, Sendable, CaseIterable {
        case subjectNotFound = 40401
        case versionNotFound = 40402
        case schemaNotFound = 40403
        case subjectSoftDeleted = 40404
        case subjectNotSoftDeleted = 40405
        case versionSoftDeleted = 40406
        case versionNotSoftDeleted = 40407
        case subjectLevelNotSet = 40408
        case subjectModeNotSet = 40409
        case incompatible = 40901
        case invalidSchema = 42201
        case invalidVersion = 42202
        case invalidLevel = 42203
        case invalidMode = 42204
        case notPermitted = 42205
        case referenceExists = 42206
        case idMismatch = 42207
        case invalidSubject = 42208
        case tooLarge = 42209
        case storage = 50001
        case timeout = 50002
    }

    /// What kind of failure it is.
    package var code: Code
    /// What happened, with names and numbers.
    package var message: String
    /// What to do next.
    package var hint: String?
    /// What the schema folder said, for ``Code/storage`` and ``Code/timeout``.
    package var storage: ConnectorFailure?

    /// A failure of its parts.
    package init(_ code: Code, _ message: String, hint: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    /// A failure of the schema folder.
    package init(_ failure: ConnectorFailure) {
        self.init(
            failure.code == "schema.subject_name"
                ? .invalidSubject : failure.code == "schema.locked" ? .timeout : .storage,
            failure.message, hint: failure.hint)
        storage = failure
    }

    /// The status of an HTTP reply.
    package var httpStatus: Int { code.rawValue / 100 }

    /// The same failure for a command line or a pipeline.
    package var asConnectorFailure: ConnectorFailure {
        if let storage { return storage }
        let (name, exitCode) = Self.names[code] ?? ("schema.registry", 1)
        return ConnectorFailure(
            name, .stop, message, setting: "schemas.directory", hint: hint, exitCode: exitCode)
    }

    private static let names: [Code: (String, Int32)] = [
        .subjectNotFound: ("schema.unknown_subject", 2), .versionNotFound: ("schema.unknown_version", 2),
        .schemaNotFound: ("schema.unknown_schema", 2), .subjectSoftDeleted: ("schema.deleted", 2),
        .subjectNotSoftDeleted: ("schema.not_deleted", 2), .versionSoftDeleted: ("schema.deleted", 2),
        .versionNotSoftDeleted: ("schema.not_deleted", 2), .subjectLevelNotSet: ("schema.not_set", 2),
        .subjectModeNotSet: ("schema.not_set", 2), .incompatible: ("schema.incompatible", 1),
        .invalidSchema: ("schema.invalid", 2), .invalidVersion: ("schema.version", 2),
        .invalidLevel: ("schema.level", 2), .invalidMode: ("schema.mode", 2),
        .notPermitted: ("schema.not_permitted", 2), .referenceExists: ("schema.referenced", 2),
        .idMismatch: ("schema.id_mismatch", 2), .invalidSubject: ("schema.subject_name", 2),
        .tooLarge: ("schema.too_large", 2),
    ]
}

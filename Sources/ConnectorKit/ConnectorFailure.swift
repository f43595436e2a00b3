/// What the pipeline does about a failure.
public enum Remedy: Sendable, Equatable {
    /// Close, wait with growing pauses, open again and continue after the last checkpoint.
    case retry
    /// The connector cannot go on until somebody changes something. The pipeline stops this connector and says why.
    case stop
}

/// Why a connector could not do what it was asked. It never holds values of rows or secrets.
public struct ConnectorFailure: Error, Sendable, Equatable {
    /// A stable code, `connector.what`, such as `postgres.slot_lost`. Every code stands in `docs/reference/errors.md`.
    public var code: String
    /// What the pipeline does about it.
    public var remedy: Remedy
    /// What happened, in one sentence with names and numbers.
    public var message: String
    /// The setting that has to do with it, as a path in the configuration, such as `source.postgres.slot`.
    public var setting: String?
    /// What to do next: a command, a statement or a setting.
    public var hint: String?
    /// Whom the user should look at: 2 for the configuration, 3 for the environment (database, disk, network).
    public var exitCode: Int32

    /// A failure of its parts.
    public init(
        _ code: String, _ remedy: Remedy, _ message: String, setting: String? = nil, hint: String? = nil,
        exitCode: Int32 = 3
    ) {
        self.code = code
        self.remedy = remedy
        self.message = message
        self.setting = setting
        self.hint = hint
        self.exitCode = exitCode
    }
}

internal import ConnectorKit

/// What is different on a server that follows another.
extension PostgresFailure {
    /// The publication must be made or changed, which only the primary can.
    static func publicationOnStandby(_ step: PublicationDifference.Step, mark: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.standby", .stop, "\(step.why), and the server is a standby, where none can be made or changed",
            setting: publicationSetting,
            hint: "on its primary: \(step.statement)\(step.kind == .creation ? " " + mark : "")")
    }

    /// It has not replayed yet what the log has already.
    static func standbyBehind(standby: String, checkpoint: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.standby_behind", .retry,
            "the standby has replayed up to \(standby), and the log ends at \(checkpoint)", setting: url,
            hint:
                "nothing, if it catches up; otherwise look at the standby's replication, or connect to the server that "
                + "was captured before")
    }

    /// A slot that the server keeps in step with its primary's is readable after a promotion only.
    static func slotSynced(_ slot: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.slot_synced", .retry,
            "the server is a standby, and its slot \"\(slot)\" follows the primary's: it can be read after a promotion",
            setting: url,
            hint:
                "connect to the primary: add target_session_attrs=read-write to the URL; or name a slot of its own for "
                + "the standby")
    }

    /// The server was a standby when the stream began, and is none any more.
    static func promoted() -> ConnectorFailure {
        ConnectorFailure(
            "postgres.promoted", .retry, "the standby was promoted, or follows another timeline",
            hint: "nothing: it is connected to again")
    }
}

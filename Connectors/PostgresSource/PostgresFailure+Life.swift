internal import ChangeModel
internal import ConnectorKit

/// Failures of a stream that is not whole any more, and words about tables that endanger the application.
extension PostgresFailure {
    /// The server took another way than the one that was read.
    static func timelineChanged(from old: UInt32, to new: UInt32, _ why: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.timeline_changed", .stop,
            "the server is on timeline \(new), the log was made on timeline \(old): \(why)", setting: url,
            hint: "if the server of timeline \(old) is still the right one, connect to it; otherwise "
                + recovery)
    }

    /// The server goes on under names that tables do not bear any more. `names` has what is wrong with each.
    static func staleNames(_ names: [String]) -> ConnectorFailure {
        let more = names.count > 1 ? ", and likewise \(names.count - 1) more" : ""
        return ConnectorFailure(
            "postgres.stale_names", .retry,
            "the server goes on under the name \(names.first ?? "")\(more), as long as the stream is open",
            hint: "nothing: it is opened again, and the server looks names up anew; start a run again that is not to "
                + "wait for anything")
    }

    /// The publication was altered while it was captured, or tables or operations were taken out of it.
    static func unpublished(_ review: PublicationReview, _ settings: PostgresSettings) -> ConnectorFailure {
        let publication = "publication \"\(settings.publication)\""
        if review.unpublished.isEmpty && !review.lostOperations.isEmpty {
            let lost = review.lostOperations.joined(separator: ", ")
            return ConnectorFailure(
                "postgres.publication_reduced", .stop,
                "\(publication) does not publish \(lost) any more: what was changed so since is lost",
                setting: publicationSetting,
                hint: "ALTER PUBLICATION \(SQLText.identifier(settings.publication)) "
                    + "SET (publish = 'insert, update, delete, truncate'); then millrace run --recover snapshot")
        }
        if review.isAltered || review.unpublished.isEmpty {
            return ConnectorFailure(
                "postgres.publication_altered", .stop,
                "\(publication) was altered or made anew since it was last looked at: what it left out meanwhile is "
                    + "lost, and what was committed without it cannot be decoded",
                setting: publicationSetting, hint: recovery)
        }
        let names = review.unpublished.map(\.name).joined(separator: ", ")
        return ConnectorFailure(
            "postgres.table_unpublished", .stop,
            "\(names) \(review.unpublished.count == 1 ? "was" : "were") taken out of \(publication), or put in with "
                + "another filter: changes since are lost",
            setting: publicationSetting,
            hint: "millrace run --recover snapshot publishes it and reads it anew; or take it out of \(tablesSetting)")
    }

    /// Only for who asks for a recovery: the slot may hold changes from before the publication was as it is now.
    static func publicationDoubtful(_ settings: PostgresSettings) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.publication_altered", .stop,
            "slot \"\(settings.slot)\" may hold changes from before publication \"\(settings.publication)\" was made "
                + "or altered: such are not whole, or cannot be decoded",
            setting: publicationSetting, hint: recovery)
    }

    /// A statement that alters the publication, and what must follow where it was read before.
    static func altering(_ statement: String, isResuming: Bool) -> String {
        statement + (isResuming ? " Then millrace run --recover snapshot" : "")
    }

    /// Nothing arrives although the server has more.
    static func stalled(_ time: Duration, at reached: LSN, of end: LSN) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.stalled", .retry,
            "nothing has come for \(time.components.seconds) s although the server has WAL up to \(end) and we have "
                + "\(reached)",
            hint:
                "connecting again; when it happens often, look at the walsender in pg_stat_replication and at the "
                + "network"
        )
    }

    /// For a table that is left out while others are captured.
    static func refusedWarning(_ table: TableSelection.Table, _ failure: ConnectorFailure) -> String {
        let hint = failure.hint.map { "; " + $0 } ?? ""
        return "table \(table.qualifiedName) is NOT captured: [\(failure.code)] \(failure.message)\(hint)"
    }

    /// For a table that only a pattern matches.
    static func keylessWarning(_ table: TableSelection.Table, isPublished: Bool) -> String {
        let fix = table.identityFix
        return isPublished
            ? "table \(table.qualifiedName) is published without a replica identity: every UPDATE and DELETE of it "
                + "fails in the application. Give it a primary key, or \(fix)"
            : "table \(table.qualifiedName) has no replica identity and is NOT captured: published, every UPDATE and "
                + "DELETE of it would fail in the application. Give it a primary key, or \(fix)"
    }
}

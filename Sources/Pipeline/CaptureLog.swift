package import ChangeModel
package import ConnectorKit
package import EventLog

/// What the capture stage needs of the event log. ``EventLog`` is the one implementation; tests wrap it to break a
/// promise on purpose and see the proof notice.
package protocol CaptureLog: Sendable {
    /// Which source the log belongs to; nil for a new log.
    func source() async throws(ConnectorFailure) -> SourceIdentity?
    /// Ties the log to a source, or refuses another one.
    func bind(to identity: SourceIdentity) async throws(ConnectorFailure)
    /// How far the source was read; nil for a new log.
    func checkpoint() async throws(ConnectorFailure) -> SourceCheckpoint?
    /// The log's entry for a relation under its contract.
    func register(_ relation: Relation, subject: String, version: Int) async throws(ConnectorFailure) -> RelationVersion
    /// The subject under which the log knows the same table by another name; nil for a table that had no other.
    func formerSubject(of relation: Relation, now subject: String) async throws(ConnectorFailure) -> String?
    /// The highest version of a subject that the log knows; 0 without any.
    func highestVersion(of subject: String) async throws(ConnectorFailure) -> Int
    /// Adds a batch and its checkpoint in one commit.
    func append(_ batch: ChangeBatch, versions: [RelationVersion]) async throws(ConnectorFailure) -> LoggedBatch
    /// Makes everything appended so far survive a power cut, and returns the checkpoint that covers it.
    func sync() async throws(ConnectorFailure) -> SourceCheckpoint?
}

extension CaptureLog {
    /// For logs that tests make.
    package func formerSubject(
        of relation: Relation, now subject: String
    ) async throws(ConnectorFailure) -> String? { nil }

    /// For logs that tests make.
    package func highestVersion(of subject: String) async throws(ConnectorFailure) -> Int { 0 }
}

extension EventLog: CaptureLog {}

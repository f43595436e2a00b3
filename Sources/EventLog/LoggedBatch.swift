package import ChangeModel

/// A batch of changes with its place in the log.
package struct LoggedBatch: Sendable {
    /// The log offset of the batch's first change; the others follow without gaps.
    package let firstOffset: UInt64
    /// The changes. Never empty when the batch came from the log.
    package let batch: ChangeBatch
    /// The registered form of `batch.relations`, at the same indices.
    package let versions: [RelationVersion]

    /// A batch with its place.
    package init(firstOffset: UInt64, batch: ChangeBatch, versions: [RelationVersion]) {
        self.firstOffset = firstOffset
        self.batch = batch
        self.versions = versions
    }

    /// The log offset behind the last change.
    package var nextOffset: UInt64 { firstOffset + UInt64(batch.changeCount) }

    /// True when the change at `offset` is in this batch.
    package func contains(_ offset: UInt64) -> Bool { offset >= firstOffset && offset < nextOffset }
}

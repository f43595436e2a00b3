package import ChangeModel
package import ConnectorKit
import EventFormat
package import EventLog

extension ClearedEncoder {
    /// Learns what the encoder cannot know from the events behind `offset` alone: the database's name, and, where
    /// records are counted within their transaction, what was counted before. `batch` gives the batch of the log with
    /// an offset.
    ///
    /// Throws what `batch` and `clearing` throw, except that the log does not go back far enough: then the records of
    /// the open transaction are not counted.
    package func prepare(
        for offset: UInt64, database: String?, clearing: inout Clearing, including: (Relation) -> Bool,
        batch: (UInt64) async throws(ConnectorFailure) -> LoggedBatch?
    ) async throws(ConnectorFailure) {
        guard countsRecords else { return }
        self.database = database ?? ""
        guard let start = try await begin(before: offset, batch) else { return }
        var next = start
        while next < offset, let logged = try await batch(next) {
            let cleared = try clearing.apply(to: logged)
            var index = Int(next - logged.firstOffset)
            let end = Int(min(offset, logged.nextOffset) - logged.firstOffset)
            while index < end {
                // What cannot be encoded was not delivered either, and is met again where that is told.
                guard
                    let part = try? encode(
                        cleared, from: index, upTo: end, bytesMax: 1 << 20, including: including)
                else { return }
                index = part.nextIndex
            }
            next = logged.nextOffset
        }
    }

    /// The offset at which the transaction begins that the change before `offset` belongs to; nil when the change at
    /// `offset` is of another one, or when the begin is no event or not in the log any more.
    private func begin(
        before offset: UInt64, _ batch: (UInt64) async throws(ConnectorFailure) -> LoggedBatch?
    ) async throws(ConnectorFailure) -> UInt64? {
        guard offset > 0, var logged = try await batch(offset), logged.firstOffset <= offset else { return nil }
        let transaction = logged.transaction(at: offset)
        guard transaction.id != 0 else { return nil }
        var place = offset
        while place > 0 {
            place -= 1
            if place < logged.firstOffset {
                do throws(ConnectorFailure) {
                    guard let earlier = try await batch(place), earlier.firstOffset <= place else { return nil }
                    logged = earlier
                } catch {
                    if error.code == LogReader.retainedAwayCode { return nil }
                    throw error
                }
            }
            let other = logged.transaction(at: place)
            guard other.commit == transaction.commit, other.id == transaction.id else { return nil }
            if logged.batch.change(at: Int(place - logged.firstOffset)).operation == .begin { return place }
        }
        return nil
    }
}

extension LoggedBatch {
    fileprivate func transaction(at offset: UInt64) -> TransactionInfo {
        batch.transaction(at: Int(batch.change(at: Int(offset - firstOffset)).transaction))
    }
}

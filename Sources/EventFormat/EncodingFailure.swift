package import ChangeModel

/// Why a change cannot be written as an event. It names the change and holds nothing of the row.
package struct EncodingFailure: Error, Sendable, Equatable {
    /// What is wrong with the change.
    package enum Reason: Error, Equatable {
        /// The bytes of a tuple end too early, go on too long or hold an unknown kind of value.
        case damagedTuple
        /// A tuple has another number of columns than its relation.
        case columnCount(expected: Int, found: Int)
        /// The change names a relation that was not given.
        case unknownRelation
        /// A row of an outbox has no id or no type.
        case noOutboxEvent
        /// The event would be longer than 4 GiB.
        case tooLarge
    }

    /// Which change.
    package let identity: ChangeIdentity
    /// Its place in the batch.
    package let index: Int
    /// `schema.table`; empty when even that is unknown.
    package let table: String
    /// What is wrong.
    package let reason: Reason

    /// What is wrong, for people.
    package var message: String {
        let place =
            "change \(identity.ordinal) of commit \(identity.commit)" + (table.isEmpty ? "" : " in table \(table)")
        return switch reason {
        case .damagedTuple: "\(place): the row's bytes are damaged"
        case .columnCount(let expected, let found): "\(place): the row has \(found) columns, its relation \(expected)"
        case .unknownRelation: "\(place): its relation is not known"
        case .noOutboxEvent: "\(place): the row of an outbox has no id or no type"
        case .tooLarge: "\(place): the event would be longer than 4 GiB"
        }
    }
}

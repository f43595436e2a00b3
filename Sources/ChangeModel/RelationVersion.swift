/// A relation under its contract: the schema version that its changes were written under.
///
/// The log makes one object for each of its relation numbers, so identity (`===`) may serve as a cache key.
public final class RelationVersion: Sendable {
    /// The log's own number of this pair, from 1.
    public let id: Int64
    /// The table.
    public let relation: Relation
    /// The registry's name of the contract, such as `shop.public.orders`.
    public let subject: String
    /// The version of the contract, from 1.
    public let version: Int

    /// A pair of its parts.
    public init(id: Int64, relation: Relation, subject: String, version: Int) {
        self.id = id
        self.relation = relation
        self.subject = subject
        self.version = version
    }
}

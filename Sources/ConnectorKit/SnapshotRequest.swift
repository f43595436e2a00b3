/// A wish to read the rows of tables again, although they were read before.
public struct SnapshotRequest: Sendable, Hashable {
    /// Tells requests apart, so that one is carried out once.
    public var id: String
    /// Which of the captured tables; a table that fits any of them is read.
    public var tables: [TablePattern]

    /// A request of its parts.
    public init(id: String, tables: [TablePattern]) {
        self.id = id
        self.tables = tables
    }
}

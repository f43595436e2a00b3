/// The exact set of changes that a PostgreSQL server committed, read through a second slot that nobody else touches:
/// what any sink must have in the end.
package struct PostgresLedger {
    private let database: PostgresDatabase
    private let slot: String
    private let publication: String

    /// Begins to keep the ledger of a publication, from now on.
    package init(_ database: PostgresDatabase, publication: String) throws {
        self.database = database
        self.publication = publication
        slot = "ledger_\(database.name)"
        try database.sql("SELECT pg_create_logical_replication_slot('\(slot)', 'pgoutput')")
    }

    /// Every change since, as `COMMIT-ORDINAL` in the form of the events' `sequence`, in order.
    package func changes() throws -> [String] {
        let messages = try database.sql(
            """
            SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('\(slot)', NULL, NULL,
                'proto_version', '1', 'publication_names', '\(publication)')
            """)
        var commit = ""
        var ordinal = 0
        var sequences: [String] = []
        for message in messages {
            switch message.prefix(2) {
            case "42":  // Begin: the final LSN follows
                commit = message.dropFirst(2).prefix(16).uppercased()
                ordinal = 0
            case "49", "55", "44":  // Insert, Update, Delete
                sequences.append("\(commit)-\(Self.padded(ordinal))")
                ordinal += 1
            case "54":  // Truncate: a 32-bit count of relations follows
                for _ in 0..<(Int(message.dropFirst(2).prefix(8), radix: 16) ?? 0) {
                    sequences.append("\(commit)-\(Self.padded(ordinal))")
                    ordinal += 1
                }
            default: break
            }
        }
        return sequences
    }

    private static func padded(_ ordinal: Int) -> String {
        let digits = String(ordinal, radix: 16, uppercase: true)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

internal import ConnectorKit

/// Who reads a slot, in words for a message.
struct SlotHolder {
    /// Such as `process 812 (millrace, from 10.0.0.7, since 2026-11-21 10:00:00+00)`.
    var text: String

    /// Asks who has it. What the role may not see is left out.
    static func find(_ slot: SlotState, _ side: SideConnection) throws(ConnectorFailure) -> SlotHolder {
        let process = slot.activeProcess ?? "?"
        let row = try side.query(query, [process]).first
        var facts: [String] = []
        if let name = row?["name"], !name.isEmpty { facts.append(name) }
        if let user = row?["role"] { facts.append("role \(user)") }
        if let address = row?["address"] { facts.append("from \(address)") }
        if let since = row?["since"] { facts.append("since \(since)") }
        return SlotHolder(
            text: "process \(process)" + (facts.isEmpty ? "" : " (\(facts.joined(separator: ", ")))"))
    }

    private static let query = """
        SELECT application_name AS name, usename AS role, pg_catalog.host(client_addr) AS address,
            pg_catalog.date_trunc('second', backend_start) AS since
        FROM pg_catalog.pg_stat_activity WHERE pid = $1::pg_catalog.int4
        """
}

internal import ConnectorKit

/// How a publication that Millrace made is told from one that somebody else made: by its comment.
enum PublicationOrigin {
    /// The comment.
    static let mark = "made by millrace"

    /// The statement that sets it.
    static func statement(_ publication: String) -> String {
        "COMMENT ON PUBLICATION \(SQLText.identifier(publication)) IS \(SQLText.literal(mark));"
    }

    /// True when the publication exists and carries the mark.
    static func isOurs(_ publication: String, _ side: SideConnection) throws(ConnectorFailure) -> Bool {
        try side.query(query, [publication]).first?.flag("is_ours") ?? false
    }

    private static let query = """
        SELECT pg_catalog.obj_description(oid, 'pg_publication') LIKE \(SQLText.literal(mark + "%")) AS is_ours
        FROM pg_catalog.pg_publication WHERE pubname = $1
        """
}

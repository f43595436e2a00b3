internal import ByteKit

/// Which tables were published when the source last looked, kept in the checkpoint's notes.
///
/// A membership is remembered by the row of the catalogue that makes it. So a table that was taken out and put in again
/// between two looks, during a stop too, is noticed: its membership has another number then. In the same way the
/// publication itself is remembered by its own row.
struct PublicationMemory: Equatable {
    /// A table that was published and wanted.
    struct Table: Equatable {
        /// `schema.table` at that time; a rename keeps the oid.
        var name: String
        /// What made it a member: `r` and the oid of its own row, `s` and that of its schema's, or `a` and that of a
        /// publication for all tables.
        var memberships: Set<String>
        /// Columns that are left out by their name, and that it had at that time.
        var excluded: Set<String> = []
        /// Such columns that it had before, and had no more.
        var lacking: Set<String> = []
    }

    /// A version of the publication's own row in the catalogue: ALTER PUBLICATION … SET (…), RENAME and OWNER write
    /// another, tables that come or go do not.
    struct Row: Equatable {
        /// The publication's oid: one that is made anew has another.
        var oid: UInt32
        /// The transaction that wrote the row (`xmin`), which the server keeps when it freezes it.
        var writer: UInt32
    }

    /// The operations that were published.
    var operations: Set<String>
    /// By oid.
    var tables: [UInt32: Table]
    /// The publication's row; nil as long as the slot may hold changes from before it was written, in notes of earlier
    /// versions too.
    var row: Row?

    /// A memory of its parts.
    init(operations: Set<String>, tables: [UInt32: Table], row: Row? = nil) {
        self.operations = operations
        self.tables = tables
        self.row = row
    }

    /// Takes over which columns tables had once that are to be left out of them.
    mutating func inherit(_ before: PublicationMemory?) {
        for (id, table) in before?.tables ?? [:] {
            guard let excluded = tables[id]?.excluded else { continue }
            tables[id]?.lacking = table.excluded.union(table.lacking).subtracting(excluded)
        }
    }
}

// MARK: - Bytes

extension PublicationMemory {
    /// The bytes for the notes: the operations, then each table; then, of tables with columns that are left out, these;
    /// then the publication's row. Older versions did not write the last two.
    var encoded: [UInt8] {
        var out = NoteWriter()
        Self.write(operations, &out)
        out.count(tables.count)
        for (id, table) in tables.sorted(by: { $0.key < $1.key }) {
            out.number32(id)
            out.text(table.name)
            Self.write(table.memberships, &out)
        }
        let choosing = tables.filter { !$0.value.excluded.isEmpty || !$0.value.lacking.isEmpty }
        if choosing.isEmpty && row == nil { return out.bytes }
        out.count(choosing.count)
        for (id, table) in choosing.sorted(by: { $0.key < $1.key }) {
            out.number32(id)
            Self.write(table.excluded, &out)
            Self.write(table.lacking, &out)
        }
        if let row {
            out.number32(row.oid)
            out.number32(row.writer)
        }
        return out.bytes
    }

    /// Reads them back; nil when they are something else.
    init?(decoding bytes: [UInt8]) {
        var reader = NoteReader(bytes.rawBytes)
        guard let operations = Self.readTexts(&reader), let count = reader.count() else { return nil }
        (self.operations, tables) = (operations, [:])
        for _ in 0..<count {
            guard let id = reader.number32(), let name = reader.text(), let memberships = Self.readTexts(&reader)
            else { return nil }
            tables[id] = Table(name: name, memberships: memberships)
        }
        if reader.isAtEnd { return }
        guard let count = reader.count() else { return nil }
        for _ in 0..<count {
            guard let id = reader.number32(), let excluded = Self.readTexts(&reader),
                let lacking = Self.readTexts(&reader)
            else { return nil }
            tables[id]?.excluded = excluded
            tables[id]?.lacking = lacking
        }
        if reader.isAtEnd { return }
        guard let oid = reader.number32(), let writer = reader.number32(), reader.isAtEnd else { return nil }
        row = Row(oid: oid, writer: writer)
    }

    private static func write(_ texts: Set<String>, _ out: inout NoteWriter) {
        out.count(texts.count)
        for text in texts.sorted() { out.text(text) }
    }

    private static func readTexts(_ reader: inout NoteReader) -> Set<String>? {
        guard let count = reader.count() else { return nil }
        var texts: Set<String> = []
        for _ in 0..<count {
            guard let text = reader.text() else { return nil }
            texts.insert(text)
        }
        return texts
    }
}

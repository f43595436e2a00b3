internal import ByteKit
internal import ChangeModel

/// Under which key consumers were last told the rows of each table, kept in the checkpoint's notes: what the log's
/// events say, and not what the database has by now.
///
/// Tables go by their names here, as consumers know them: one that is dropped and made anew, or takes the name of
/// another, goes on where that one ended.
struct KeyMemory: Equatable {
    /// What the events of one table said since it was last emptied.
    private struct Told: Equatable {
        var form: KeyForm
        /// True when events under another form came before: consumers have rows that no event names any more.
        var isMixed = false
    }

    /// By `schema.table`. A table that is not here was emptied, or nothing was told of it.
    private var tables: [String: Told] = [:]

    /// A memory of nothing.
    init() {}

    /// True when nothing is remembered.
    var isEmpty: Bool { tables.isEmpty }

    /// True when the last row was told under this form, so that there is nothing to remember.
    func has(_ form: KeyForm, of table: String) -> Bool { tables[table]?.form == form }

    /// Rows under this form follow. The form of those before, when it was another one.
    mutating func tell(_ form: KeyForm, of table: String) -> KeyForm? {
        guard let before = tables[table] else {
            tables[table] = Told(form: form)
            return nil
        }
        if before.form == form { return nil }
        tables[table] = Told(form: form, isMixed: true)
        return before.form
    }

    /// Consumers were told that the table is empty. False when they had nothing of it.
    mutating func empty(_ table: String) -> Bool { tables.removeValue(forKey: table) != nil }

    /// True when consumers must forget the table before they are told rows under this form.
    func mustBeForgotten(_ table: String, before form: KeyForm) -> Bool {
        tables[table].map { $0.isMixed || $0.form != form } ?? false
    }

    /// True when rows were told under several forms.
    func isMixed(_ table: String) -> Bool { tables[table]?.isMixed ?? false }

    /// Forgets tables that are not captured any more.
    mutating func keep(_ names: Set<String>) { tables = tables.filter { names.contains($0.key) } }
}

// MARK: - Bytes

extension KeyMemory {
    /// The bytes for the notes: each table with its form.
    var encoded: [UInt8] {
        var out = NoteWriter()
        out.count(tables.count)
        for (name, told) in tables.sorted(by: { $0.key < $1.key }) {
            out.text(name)
            out.flag(told.isMixed)
            out.count(told.form.columns.count)
            for column in told.form.columns { out.text(column) }
        }
        return out.bytes
    }

    /// Reads them back; nil when they are something else.
    init?(decoding bytes: [UInt8]) {
        var reader = NoteReader(bytes.rawBytes)
        guard let count = reader.count() else { return nil }
        for _ in 0..<count {
            guard let name = reader.text(), let isMixed = reader.flag(), let width = reader.count() else { return nil }
            var columns: [String] = []
            for _ in 0..<width {
                guard let column = reader.text() else { return nil }
                columns.append(column)
            }
            tables[name] = Told(form: KeyForm(columns: columns), isMixed: isMixed)
        }
        guard reader.isAtEnd else { return nil }
    }
}

internal import ChangeModel
internal import ConnectorKit

/// A table that has our triggers.
struct CapturedTable: Equatable {
    var shape: TableShape
    /// The number that log rows of this shape carry.
    var capture: Int64
    /// The capture since which nothing was missed. A snapshot that was taken under it still holds.
    var since: Int64
}

/// Brings our tables and triggers in line with the database's schema and the setting `tables`.
struct CaptureInstaller {
    let connection: SQLiteConnection
    let patterns: [TablePattern]

    /// What came of it.
    struct Outcome {
        /// The captured tables by name.
        var tables: [CapturedTable] = []
        /// What somebody should know.
        var notices: [String] = []
        /// PRAGMA schema_version after the work; it changes when anybody changes the schema.
        var schemaVersion: Int64 = 0
    }

    /// Makes, renews and removes what is needed. Runs inside of the caller's IMMEDIATE transaction; running it again
    /// changes nothing.
    func install() throws(SQLiteError) -> Outcome {
        var outcome = Outcome()
        try ChangeLogTables.create(connection)
        let shapes = try chooseTables(&outcome.notices)
        guard !shapes.isEmpty else { throw SQLiteError(refusal: .noTables(connection.path)) }
        try ChangeLogTables.widen(to: 2 * (shapes.map(\.columns.count).max() ?? 0), connection)

        let existing = try InstalledTrigger.all(connection)
        let known = try StoredCapture.latest(connection)
        for shape in shapes {
            let old = known[shape.name]
            let mine = existing.filter { $0.isOn(shape.name) && $0.isOurs }
            let newestForeign = existing.filter { $0.isOn(shape.name) && !$0.isOurs }.map(\.rowid).max() ?? 0
            if let table = try install(
                shape, old, mine, newestForeign: newestForeign, isLiteral: isLiteral(shape.name), &outcome.notices)
            {
                outcome.tables.append(table)
            }
        }
        guard !outcome.tables.isEmpty else { throw SQLiteError(refusal: .noTables(connection.path)) }
        try removeOthers(keeping: outcome.tables)
        outcome.schemaVersion = try connection.integer("PRAGMA schema_version") ?? 0
        return outcome
    }

    private func isLiteral(_ name: String) -> Bool { patterns.contains { $0.literalName == name } }

    /// The shapes of all tables that fit a pattern. What a literal name cannot give is an error, the rest a notice.
    func chooseTables(_ notices: inout [String]) throws(SQLiteError) -> [TableShape] {
        let listed = try TableShape.list(connection)
        for pattern in patterns {
            guard let name = pattern.literalName, !listed.contains(where: { $0.name == name }) else { continue }
            let similar = listed.first { SQLText.folded($0.name) == SQLText.folded(name) }?.name
            throw SQLiteError(refusal: .tableMissing(name, connection.path, similar: similar))
        }
        var shapes: [TableShape] = []
        for table in listed where patterns.contains(where: { $0.matches(table.name) }) {
            switch try TableShape.read(table, from: connection) {
            case .success(let shape): shapes.append(shape)
            case .failure(let refusal) where isLiteral(table.name): throw SQLiteError(refusal: .refused(refusal))
            case .failure(let refusal) where table.kind == "table":
                notices.append("\(refusal.message); it is not captured [\(refusal.code)]")
            case .failure: break
            }
        }
        return shapes
    }
}

// MARK: - One table

extension CaptureInstaller {
    private func install(
        _ shape: TableShape, _ old: StoredCapture?, _ mine: [InstalledTrigger], newestForeign: Int64, isLiteral: Bool,
        _ notices: inout [String]
    ) throws(SQLiteError) -> CapturedTable? {
        let ofOld = mine.filter { trigger in old.map { trigger.belongs(to: $0.id) } ?? false }
        if let old, old.describes(shape) {
            let generator = TriggerGenerator(shape: shape, capture: old.id)
            let wanted = generator.triggers
            let isComplete = wanted.allSatisfy { trigger in
                ofOld.contains { $0.name == trigger.name && $0.sql == trigger.sql }
            }
            let table = CapturedTable(shape: shape, capture: old.id, since: old.since)
            let isNewest = ofOld.allSatisfy { $0.rowid > newestForeign || !$0.isAfter }
            if isComplete && isNewest && mine.count == wanted.count && old.isActive { return table }
        }
        let plan = renewal(of: shape, old, ofOld)
        if let notice = plan.notice { notices.append(notice) }
        return try renew(shape, plan, replacing: mine, isLiteral: isLiteral, &notices)
    }

    /// What a table needs whose triggers are not as they should be.
    private struct Renewal {
        /// The capture to go on with; nil for a new one.
        var capture: Int64?
        /// The capture since which nothing was missed; nil when that is the new one.
        var since: Int64?
        var notice: String?
    }

    private func renewal(of shape: TableShape, _ old: StoredCapture?, _ triggers: [InstalledTrigger]) -> Renewal {
        guard let old, old.isActive else { return Renewal() }
        let logsAll = ["insert", "update", "delete"].allSatisfy { name in
            triggers.contains { $0.name == "\(TriggerGenerator.triggerPrefix)\(old.id)_\(name)" }
        }
        guard logsAll else {
            return Renewal(
                notice:
                    "the triggers of table \"\(shape.name)\" were gone, as after a rebuild of the table; changes in the"
                    + " meantime may have been missed, so its rows are read again")
        }
        if old.describes(shape) {
            let generator = TriggerGenerator(shape: shape, capture: old.id)
            let isComplete = generator.triggers.allSatisfy { trigger in
                triggers.contains { $0.name == trigger.name && $0.sql == trigger.sql }
            }
            let notice =
                "the keys of table \"\(shape.name)\" changed; rows that OR REPLACE removed by a new unique key"
                + " before now"
                + " were not seen"
            return Renewal(capture: old.id, since: old.since, notice: isComplete ? nil : notice)
        }
        if old.isRenaming(of: shape) { return Renewal(since: old.since) }
        return Renewal(
            notice:
                "the columns of table \"\(shape.name)\" changed; changes before now were captured with the columns of"
                + " before, so its rows are read again")
    }

    private func renew(
        _ shape: TableShape, _ plan: Renewal, replacing mine: [InstalledTrigger], isLiteral: Bool,
        _ notices: inout [String]
    ) throws(SQLiteError) -> CapturedTable? {
        for trigger in mine { try drop(trigger) }
        try connection.execute("SAVEPOINT _millrace_table")
        do {
            let table = try makeCapture(shape, plan)
            let generator = TriggerGenerator(shape: shape, capture: table.capture)
            try connection.execute("DROP TABLE IF EXISTS \(generator.conflictsTable)")
            try connection.execute(generator.conflictsTableSQL)
            for trigger in generator.triggers { try connection.execute(trigger.sql) }
            try compileWrites(to: shape)
            try connection.execute("RELEASE _millrace_table")
            return table
        } catch {
            try? connection.execute("ROLLBACK TO _millrace_table")
            try? connection.execute("RELEASE _millrace_table")
            guard error.code & 0xFF == 1 else { throw error }
            let refusal = TableRefusal.unusableTriggers(shape.name, error.message)
            if isLiteral { throw SQLiteError(refusal: .refused(refusal)) }
            notices.append("\(refusal.message); it is not captured [\(refusal.code)]")
            return nil
        }
    }

    private func makeCapture(_ shape: TableShape, _ plan: Renewal) throws(SQLiteError) -> CapturedTable {
        if let capture = plan.capture, let since = plan.since {
            return CapturedTable(shape: shape, capture: capture, since: since)
        }
        let stored = try StoredCapture.store(shape, since: plan.since, connection)
        return CapturedTable(shape: shape, capture: stored, since: plan.since ?? stored)
    }

    /// Compiles each kind of write as the application would, triggers and all, and a read by key: whatever does not
    /// compile here must not be left in the database.
    private func compileWrites(to shape: TableShape) throws(SQLiteError) {
        let table = SQLText.identifier(shape.name)
        _ = try connection.prepare("INSERT INTO \(table) DEFAULT VALUES")
        _ = try connection.prepare("DELETE FROM \(table)")
        let columns = shape.columns.filter { !$0.isGenerated }.map { SQLText.identifier($0.name) }
        let assignments = columns.map { "\($0) = \($0)" }.joined(separator: ", ")
        _ = try connection.prepare("UPDATE \(table) SET \(assignments)")
        for page in SnapshotPages(shape).next(after: nil) { _ = try connection.prepare(page.sql) }
    }

    private func drop(_ trigger: InstalledTrigger) throws(SQLiteError) {
        try connection.execute("DROP TRIGGER IF EXISTS \(SQLText.identifier(trigger.name))")
    }

    /// Takes away triggers of tables that are not captured any more, and tables of records that nobody writes.
    private func removeOthers(keeping tables: [CapturedTable]) throws(SQLiteError) {
        let kept = Set(tables.map(\.capture))
        for trigger in try InstalledTrigger.all(connection) where trigger.isOurs {
            if !kept.contains(where: trigger.belongs(to:)) { try drop(trigger) }
        }
        for capture in try StoredCapture.active(connection) where !kept.contains(capture) {
            try connection.execute("DROP TABLE IF EXISTS \(TriggerGenerator.conflictsTable(capture: capture))")
            try connection.execute("UPDATE \(ChangeLogTables.captures) SET active = 0 WHERE id = \(capture)")
        }
    }
}

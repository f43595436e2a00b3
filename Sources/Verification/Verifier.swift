import ByteKit
package import ChangeModel
package import ConnectorKit
package import EventLog
package import Masking
package import Outbox

/// Folds the events of a log and compares the outcome with the tables of its source.
///
/// The tables are seen as of one moment, and exactly the changes that this moment has are folded: which those are says
/// the reader's view, transaction by transaction. So a table may be written to all the time and still no difference is
/// found that is not there, and none is overlooked.
package struct Verifier: Sendable {
    /// What is being done, for a display.
    package enum Progress: Sendable {
        /// The log does not have everything that the view has; it ends this far before.
        case waiting(behind: UInt64)
        /// Events are folded.
        case folding(done: UInt64, of: UInt64)
        /// Rows of a table are compared.
        case comparing(table: String, rows: Int)
    }

    /// Says which columns of a table may not be seen, by their indices.
    package typealias HiddenColumns = @Sendable (Relation) throws(ConnectorFailure) -> Set<Int>

    private let log: LogReader
    private let reader: any TableReader
    private let patterns: [TablePattern]
    private let masks: MaskRules
    private let outbox: OutboxRules
    private let scratch: String
    private let patience: Duration
    private let differencesMax: Int
    private let hiddenColumns: HiddenColumns
    private let progress: @Sendable (Progress) -> Void

    /// A comparison of the tables that match `patterns` (all for none), with its temporary file in `scratch`. Rows are
    /// masked by `masks` before they are compared, as the log's are; tables of `outbox` are not compared. When the log
    /// stands still for `patience` behind what must be in it, the comparison is given up. Everything is compared, but
    /// no value of `hiddenColumns` is in the report.
    package init(
        log: LogReader, reader: any TableReader, patterns: [TablePattern], masks: MaskRules,
        outbox: OutboxRules = OutboxRules(), scratch: String, patience: Duration = .seconds(120),
        differencesMax: Int = 100,
        hiddenColumns: @escaping HiddenColumns = { (_) throws(ConnectorFailure) in [] },
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.log = log
        self.reader = reader
        self.patterns = patterns
        self.masks = masks
        self.outbox = outbox
        self.scratch = scratch
        self.patience = patience
        self.differencesMax = differencesMax
        self.hiddenColumns = hiddenColumns
        self.progress = progress
    }

    /// Compares. Throws what keeps it from that; differences are no failure.
    package func run() async throws(ConnectorFailure) -> VerificationReport {
        let result: Result<VerificationReport, ConnectorFailure>
        do throws(ConnectorFailure) {
            result = .success(try await compare())
        } catch {
            result = .failure(error)
        }
        await reader.close()
        return try result.get()
    }

    private func compare() async throws(ConnectorFailure) -> VerificationReport {
        let (patterns, outbox) = (patterns, outbox)
        guard let source = try log.statistics().source else {
            throw ConnectorFailure(
                "verify.nothing_captured", .stop, "nothing was captured yet",
                hint: "millrace run --until-caught-up captures what there is, and ends")
        }
        let view = try await reader.open(of: source) { Self.isWanted($0, patterns) }
        let end = try await reachEnd(of: view)
        var masking = try BatchMasking(masks)
        var folds = FoldBook(try FoldStore(directory: scratch), view) {
            Self.isWanted($0, patterns) && !outbox.covers($0) && !$0.isWithoutTable
        }
        let offsets = end.firstOffset..<end.nextOffset
        try fold(offsets, into: &folds)
        var unlogged = 0
        if end.readsUnlogged {
            while let batch = try await reader.nextUnlogged() {
                try folds.take(try masking.apply(to: batch), versions: nil, firstOffset: nil)
                unlogged += batch.changeCount
            }
        }
        var tables: [TableReport] = []
        for index in view.tables.indices {
            tables.append(try await compare(index, view, &folds, end, &masking))
        }
        tables += Self.gone(folds.unclaimed)
        guard !tables.isEmpty else {
            throw ConnectorFailure(
                "verify.no_tables", .stop, "no captured table matches \(patterns.map(\.text).joined(separator: ", "))",
                hint: "name tables as tail shows them, such as public.orders", exitCode: 2)
        }
        return VerificationReport(
            tables: tables.sorted { $0.name < $1.name }, offsets: offsets, unloggedCount: unlogged, position: view.end)
    }

    /// What is in the log under names that no table has.
    private static func gone(_ folds: [TableFold]) -> [TableReport] {
        folds.map { fold in
            var report = TableReport(name: fold.name)
            report.eventCount = fold.eventCount
            report.obstacle = "no table has this name any more, or it is no longer captured"
            return report
        }
    }

    private static func isWanted(_ relation: Relation, _ patterns: [TablePattern]) -> Bool {
        patterns.isEmpty || patterns.contains { $0.matches(relation.qualifiedName) || $0.matches(relation.name) }
    }

    /// What of the log is folded.
    private struct LogEnd {
        var firstOffset: UInt64
        var nextOffset: UInt64
        var checkpoint: SourceCheckpoint?
        /// Changes that were set aside, by table.
        var deadLetters: [DeadLetterGroup]
        var relations: [RelationVersion]
        /// True when the source itself gives the changes that the log lacks.
        var readsUnlogged: Bool

        /// What was set aside of a table, and of its rows by themselves.
        func deadLetters(of table: Relation) -> [DeadLetterGroup] {
            let subjects = Set(
                relations.filter { $0.relation.qualifiedName == table.qualifiedName }.map(\.subject))
            return deadLetters.filter { group in
                let subject =
                    group.subject.hasSuffix("#rows") ? String(group.subject.dropLast(5)) : group.subject
                return subjects.contains(subject) || subject.hasSuffix("." + table.qualifiedName)
            }
        }
    }

    /// Waits until the log, or the log and the source together, have every change of the view.
    private func reachEnd(of view: TableView) async throws(ConnectorFailure) -> LogEnd {
        var lastMove = ContinuousClock.now
        var position: UInt64?
        while true {
            let log = try log.statistics()
            let reached = log.checkpoint?.resume
            var end = LogEnd(
                firstOffset: log.firstOffset, nextOffset: log.nextOffset, checkpoint: log.checkpoint,
                deadLetters: log.deadLetters, relations: log.relations, readsUnlogged: false)
            if let reached, reached >= view.end { return end }
            if try await reader.beginUnlogged(after: log.checkpoint) {
                end.readsUnlogged = true
                return end
            }
            if position != reached?.value { (position, lastMove) = (reached?.value, .now) }
            guard lastMove.duration(to: .now) < patience else {
                throw ConnectorFailure(
                    "verify.log_behind", .stop,
                    "the log did not come nearer to what the tables hold for \(patience.components.seconds) s",
                    hint: "look at millrace status and at the log lines of the run that captures")
            }
            progress(.waiting(behind: view.end.value &- (reached?.value ?? 0)))
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func fold(_ offsets: Range<UInt64>, into folds: inout FoldBook) throws(ConnectorFailure) {
        var offset = offsets.lowerBound
        while offset < offsets.upperBound, let logged = try log.read(from: offset) {
            try folds.take(logged.batch, versions: logged.versions, firstOffset: logged.firstOffset)
            offset = logged.nextOffset
            progress(.folding(done: offset - offsets.lowerBound, of: UInt64(offsets.count)))
        }
    }

    private func compare(
        _ index: Int, _ view: TableView, _ folds: inout FoldBook, _ end: LogEnd, _ masking: inout BatchMasking
    ) async throws(ConnectorFailure) -> TableReport {
        var table = view.tables[index]
        if outbox.covers(table.relation) {
            var report = TableReport(name: table.relation.qualifiedName)
            report.isOutbox = true
            report.obstacle = "an outbox, whose rows are events of the application and not compared"
            return report
        }
        try mask(&table, &masking)
        let fold = try folds.claim(table.relation)
        let letters = end.deadLetters(of: table.relation)
        let waiting = letters.reduce(0) { $0 + $1.changeCount }
        let discarded = letters.reduce(0) { $0 + $1.discardedCount }
        if waiting > 0 {
            table.obstacle = "\(counted(waiting, "change")) of it set aside (millrace deadletters list)"
        }
        if discarded > 0 {
            table.remarks.append("\(counted(discarded, "change")) of it discarded by millrace deadletters")
        }
        let coverage = Self.coverage(of: fold, table, view, logBegins: end.firstOffset, end.checkpoint)
        if case .notYet(let why) = view.coverage(table, end.checkpoint) { table.obstacle = table.obstacle ?? why }
        table.obstacle = table.obstacle ?? folds.whyForgotten(table.relation)
        if let obstacle = table.obstacle ?? fold.obstacle {
            var report = TableReport(name: table.relation.qualifiedName)
            (report.eventCount, report.obstacle, report.remarks) = (fold.eventCount, obstacle, table.remarks)
            if table.obstacle == nil { report.oldKeyCount = try fold.rowsUnderOldKeys() }
            Self.remarkOldKeys(&report, table.relation, view)
            return report
        }
        let comparison = TableComparison(
            fold, RowShape(table.relation, version: nil), coverage, keeping: differencesMax,
            hiding: try hiddenColumns(table.relation))
        try await reader.beginRows(ofTable: index)
        while let batch = try await reader.nextRows() {
            try comparison.take(try masking.apply(to: batch))
            progress(.comparing(table: table.relation.qualifiedName, rows: comparison.report.rowCount))
        }
        var report = try comparison.finish()
        report.remarks = table.remarks + report.remarks
        Self.remarkOldKeys(&report, table.relation, view)
        try folds.release(table.relation)
        return report
    }

    private static func remarkOldKeys(_ report: inout TableReport, _ table: Relation, _ view: TableView) {
        if report.oldKeyCount == 0 { return }
        let remedy =
            view.snapshotsForgetOldKeys
            ? "`millrace snapshot \(table.qualifiedName)` tells them to forget the table and sends it anew"
            : "they have to empty the table themselves before it is read again"
        report.remarks.append(
            "\(counted(report.oldKeyCount, "row")) under an old key, which consumers keep (the key is now: "
                + "\(KeyForm(table).text)); \(remedy)")
    }

    /// Gives a table the columns that the log has of it.
    private func mask(_ table: inout ViewedTable, _ masking: inout BatchMasking) throws(ConnectorFailure) {
        let masked = table.relation.columns.map(\.name).filter { masks.isMasked(table.relation, column: $0) }
        if masked.isEmpty { return }
        table.remarks.append("compared as the present rules mask it: \(masked.joined(separator: ", "))")
        var empty = ChangeBatchBuilder(capacity: 16)
        _ = empty.index(of: table.relation)
        guard let batch = try? empty.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(0))) else {
            return
        }
        table.relation = try masking.apply(to: batch).relations.first ?? table.relation
    }

    /// Whether every row must have an event.
    private static func coverage(
        of fold: TableFold, _ table: ViewedTable, _ view: TableView, logBegins: UInt64, _ checkpoint: SourceCheckpoint?
    ) -> RowCoverage {
        if let why = fold.lostKeys { return .changed(why: why) }
        if fold.hasSnapshotBeyondView { return .changed(why: "the table's snapshot is being taken") }
        if fold.wasTruncated { return .all }
        if logBegins > 0 { return .changed(why: "the log begins at offset \(logBegins), older events were removed") }
        return view.coverage(table, checkpoint)
    }
}

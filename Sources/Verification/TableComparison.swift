import ByteKit
import ChangeModel
import ConnectorKit

/// Compares the rows of one table, as they come, with what was folded.
final class TableComparison {
    /// Differences that are kept with their keys; the others are only counted.
    static let differencesMax = 1000

    private let fold: TableFold
    private let table: RowShape
    private let coverage: RowCoverage
    private let keptMax: Int
    private let hidden: Set<Int>
    private(set) var report: TableReport
    /// One bit for each number of a folded row: set when the table has it.
    private var seen: [UInt64]
    private var seenCount = 0
    private var rowsWithoutKey = 0
    private var partlyKnown: Set<Int> = []
    private var row = TupleLayout()
    private var stored = TupleLayout()
    private var key: [UInt8] = []
    private var differing: [Int] = []

    /// Begins with a fold that has taken the table's present form. Values of `hidden` columns are not in the report.
    init(
        _ fold: TableFold, _ table: RowShape, _ coverage: RowCoverage, keeping keptMax: Int,
        hiding hidden: Set<Int> = []
    ) {
        self.hidden = hidden
        self.fold = fold
        self.table = table
        self.coverage = coverage
        self.keptMax = min(keptMax, Self.differencesMax)
        report = TableReport(name: table.relation.qualifiedName)
        report.eventCount = fold.eventCount
        seen = [UInt64](repeating: 0, count: Int(fold.rows.nextNumber) / 64 + 1)
    }

    /// Takes rows of the table.
    func take(_ batch: ChangeBatch) throws(ConnectorFailure) {
        for index in 0..<batch.changeCount { try take(batch.tuple(batch.change(at: index).after)) }
    }

    private func take(_ tuple: RawSpan) throws(ConnectorFailure) {
        report.rowCount += 1
        guard row.read(tuple) else { throw Self.unreadable(table) }
        guard TableFold.key(table, row, tuple, into: &key) else {
            rowsWithoutKey += 1
            return try fold.rows.count(tuple, -1, place: nil)
        }
        var found: (number: Int, place: UInt64?, isPartly: Bool)?
        let shapes = fold.shapes
        differing.removeAll(keepingCapacity: true)
        try fold.rows.withRow(key) { (info, folded) in
            guard stored.read(folded) else { return }
            let mapping = shapes[info.shape].mapping(to: table)
            var isPartly = false
            for column in 0..<row.count {
                guard let source = mapping[column], stored.isKnown(source) else {
                    isPartly = true
                    partlyKnown.insert(column)
                    continue
                }
                if !TupleBytes.areEqual(tuple, row.ranges[column], folded, stored.ranges[source]) {
                    differing.append(column)
                }
            }
            found = (info.number, info.place, isPartly)
        }
        judge(found)
    }

    private static func unreadable(_ table: RowShape) -> ConnectorFailure {
        ConnectorFailure(
            "verify.unreadable_row", .stop, "a row of \(table.relation.qualifiedName) cannot be read",
            hint: "this is a fault of the source connector: please report it")
    }

    private func judge(_ found: (number: Int, place: UInt64?, isPartly: Bool)?) {
        guard let found else {
            if case .changed = coverage {
                report.unjudgedCount += 1
            } else {
                report.onlyInTableCount += 1
                note(.onlyInTable, nil, [])
            }
            return
        }
        seen[found.number / 64] |= 1 << UInt64(found.number % 64)
        seenCount += 1
        if !differing.isEmpty {
            report.differentCount += 1
            note(.different, found.place, differing.map { table.relation.columns[$0].name })
        } else if found.isPartly {
            report.partlyEqualCount += 1
        } else {
            report.equalCount += 1
        }
    }

    private func note(_ kind: RowDifference.Kind, _ place: UInt64?, _ columns: [String]) {
        guard report.differences.count < keptMax else { return }
        report.differences.append(
            RowDifference(kind: kind, offset: place, key: KeyText.of(key, table, hiding: hidden), columns: columns))
    }

    /// All rows of the table were taken: looks for folded rows that it does not have.
    func finish() throws(ConnectorFailure) -> TableReport {
        if try fold.rows.rowCount() != seenCount {
            try fold.rows.forEachRow { (key, row, _) in
                guard seen[row.number / 64] & (1 << UInt64(row.number % 64)) == 0 else { return }
                self.key = key
                report.onlyInLogCount += 1
                note(.onlyInLog, row.place, [])
            }
        }
        try finishRowsWithoutKey()
        report.oldKeyCount = try fold.rowsUnderOldKeys()
        if !partlyKnown.isEmpty {
            let names = partlyKnown.sorted().map { table.relation.columns[$0].name }.joined(separator: ", ")
            report.remarks.append(
                "\(counted(report.partlyEqualCount, "row")) not compared in \(names): no event since the column "
                    + "is as it is now has its value")
        }
        if report.unjudgedCount > 0, case .changed(let why) = coverage {
            report.remarks.append("\(counted(report.unjudgedCount, "row")) without an event that need none: \(why)")
        }
        return report
    }

    /// What is left of the counts: more events than rows is a difference; more rows than events only where each row
    /// must have one.
    private func finishRowsWithoutKey() throws(ConnectorFailure) {
        var missing = 0
        try fold.rows.forEachCount { (tuple, count, place) in
            key = tuple
            if count > 0 {
                report.onlyInLogCount += count
                note(.onlyInLog, place, [])
            } else if case .changed = coverage {
                report.unjudgedCount -= count
                missing -= count
            } else {
                report.onlyInTableCount -= count
                missing -= count
                note(.onlyInTable, nil, [])
            }
        }
        report.equalCount += rowsWithoutKey - missing
    }
}

/// Keys for people.
enum KeyText {
    /// What stands for a value that may not be seen.
    private static let hiddenText = "[hidden]"

    /// `id=42, shop=7`; the whole row for a table without a key.
    static func of(_ key: [UInt8], _ shape: RowShape, hiding hidden: Set<Int>) -> String {
        if shape.keyColumns.isEmpty { return values(key.dropFirst(2), shape, shape.relation.columns.indices, hidden) }
        return values(key[...], shape, shape.keyColumns, hidden)
    }

    private static func values(
        _ bytes: ArraySlice<UInt8>, _ shape: RowShape, _ columns: some Sequence<Int>, _ hidden: Set<Int>
    ) -> String {
        var rest = bytes
        var texts: [String] = []
        for column in columns {
            let name = shape.relation.columns[column].name
            guard let kind = rest.popFirst() else { break }
            guard ValueKind.hasBytes(kind) else {
                texts.append("\(name)=" + (hidden.contains(column) ? hiddenText : "null"))
                continue
            }
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            let value = rest.dropFirst(4).prefix(length)
            rest = rest.dropFirst(4 + length)
            let isText = kind != ValueKind.binary && kind != ValueKind.malformedText
            let shown =
                hidden.contains(column)
                ? hiddenText
                : isText ? String(decoding: value.prefix(200), as: UTF8.self) : "(\(length) bytes)"
            texts.append("\(name)=\(shown)")
        }
        return texts.joined(separator: ", ")
    }
}

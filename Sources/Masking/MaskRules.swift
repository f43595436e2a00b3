package import ChangeModel
package import ConnectorKit

/// What is masked: the configuration's list `transforms`, with the salt of its hashes.
package struct MaskRules: Sendable {
    /// One entry of the list.
    package struct Rule: Sendable {
        /// The tables that it is for.
        package var tables: [TablePattern]
        /// The masks of their columns, by name.
        package var columns: [String: ColumnMask]

        /// A rule of its parts.
        package init(tables: [TablePattern], columns: [String: ColumnMask]) {
            self.tables = tables
            self.columns = columns
        }

        func covers(schema: String, table: String) -> Bool {
            tables.contains { $0.matches(schema: schema, table: table) }
        }
    }

    /// The entries.
    package var rules: [Rule]
    /// The key of all hashes. Secret.
    package var salt: [UInt8]

    /// Rules with the salt of their hashes.
    package init(_ rules: [Rule] = [], salt: [UInt8] = []) {
        self.rules = rules
        self.salt = salt
    }

    /// True when nothing is masked.
    package var isEmpty: Bool { rules.isEmpty }

    /// The mask of a column; nil for none. Of several the strongest holds.
    package func mask(of column: String, schema: String, table: String) -> ColumnMask? {
        var strongest: ColumnMask?
        for rule in rules where rule.covers(schema: schema, table: table) {
            guard let mask = rule.columns[column] else { continue }
            if strongest.map({ mask.isStronger(than: $0) }) ?? true { strongest = mask }
        }
        return strongest
    }

    /// A relation as it is stored.
    package func masked(_ relation: Relation) throws(ConnectorFailure) -> Relation {
        try MaskPlan(relation, self)?.relation ?? relation
    }

    /// True when what is stored of a column is not what the database holds. `relation` has the source's columns.
    package func isMasked(_ relation: Relation, column: String) -> Bool {
        mask(of: column, schema: relation.schema, table: relation.name) != nil
    }

    /// The columns that rules name for this table, and that it does not have.
    package func missingColumns(in columns: some Sequence<String>, schema: String, table: String) -> [String] {
        let named = rules.filter { $0.covers(schema: schema, table: table) }.flatMap(\.columns.keys)
        return Set(named).subtracting(columns).sorted()
    }
}

// MARK: - What doctor finds

extension MaskRules {
    /// What of the rules means nothing for these tables, or cannot be. A column that a rule for several tables names
    /// must be in one of them.
    package func findings(_ tables: [TableColumns]) -> [Finding] {
        var findings: [Finding] = []
        for (index, rule) in rules.enumerated() {
            let covered = tables.filter { rule.covers(schema: $0.schema, table: $0.table) }
            let name = "transforms[\(index)]"
            for pattern in rule.tables
            where !tables.contains(where: { pattern.matches(schema: $0.schema, table: $0.table) }) {
                findings.append(unused("\(name) masks nothing in \(pattern.text): no captured table matches"))
            }
            if covered.isEmpty { continue }
            for column in rule.columns.keys.sorted() where !covered.contains(where: { $0.columns.contains(column) }) {
                findings.append(unused("\(name) masks nothing in column \(column): no table of it has one"))
            }
        }
        for table in tables {
            for column in table.key.sorted() {
                guard let mask = mask(of: column, schema: table.schema, table: table.table), mask != .hash else {
                    continue
                }
                let failure = MaskFailure.key(column, of: "\(table.schema).\(table.table)", mask)
                findings.append(Finding(.problem, failure.code, failure.message, fix: failure.hint))
            }
        }
        if findings.isEmpty, !isEmpty {
            findings.append(Finding(.ok, "pipeline.mask_unused", "every mask has its column"))
        }
        return findings
    }

    private func unused(_ message: String) -> Finding {
        Finding(
            .problem, "pipeline.mask_unused", message,
            fix: "correct the name in transforms (capitals matter), or take it out")
    }
}

/// What stops a pipeline that masks.
enum MaskFailure {
    static func key(_ column: String, of table: String, _ mask: ColumnMask) -> ConnectorFailure {
        let why =
            switch mask {
            case .drop: "without it events would have no key"
            case .truncate: "different rows could get the same key"
            case .redact, .hash: "all rows would have the same key"
            }
        return ConnectorFailure(
            "pipeline.mask_on_key", .stop, "\(mask.name) is no mask for \(column), the key of \(table): \(why)",
            setting: "transforms", hint: "use hash, which keeps rows apart", exitCode: 2)
    }

    static func damaged(_ relation: Relation) -> ConnectorFailure {
        ConnectorFailure(
            "pipeline.mask_failed", .stop,
            "a row of \(relation.qualifiedName) cannot be masked: it does not have the columns of its table",
            hint: "please report this; nothing of the row was stored or shown")
    }

    static func withoutPosition() -> ConnectorFailure {
        ConnectorFailure(
            "pipeline.mask_failed", .stop, "a batch cannot be masked: it does not come from a source",
            hint: "please report this; nothing of the batch was stored")
    }

    static func hashUnavailable() -> ConnectorFailure {
        ConnectorFailure(
            "pipeline.hash_unavailable", .stop, "the system's OpenSSL library cannot compute HMAC-SHA-256",
            hint: "check the installation of libssl3 and its configuration (openssl.cnf)")
    }

    static func tooLarge() -> ConnectorFailure {
        ConnectorFailure(
            "pipeline.mask_failed", .stop, "masked rows need more than 4 GiB in one batch",
            hint: "please report this; nothing of the batch was stored or shown")
    }
}

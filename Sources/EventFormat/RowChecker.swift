internal import ByteKit
package import ChangeModel
internal import JSONSchema

/// Checks rows before they enter the log, on the bytes of their columns. Used by one task at a time.
///
/// Nothing is allocated for a row once its memory has grown. Questions about a value that was not sent (an unchanged
/// TOASTed one) stay open: the row counts as valid.
package final class RowChecker {
    private var images = RowImages()
    private var forms = EventForms()
    private var plans: [ObjectIdentifier: KnownPlan] = [:]
    private var checks: [ObjectIdentifier: KnownCheck] = [:]
    /// Most rows follow one of the same table.
    private var latestPlan: KnownPlan?
    private var latestCheck: KnownCheck?

    /// What is kept keeps its identity taken.
    private struct KnownPlan {
        let relation: Relation
        let plan: ColumnPlan

        init(_ relation: Relation) {
            self.relation = relation
            let version = RelationVersion(id: 0, relation: relation, subject: "", version: 0)
            plan = ColumnPlan(version, pipelineName: "", format: .row)
        }
    }

    private struct KnownCheck {
        let rules: RowRules
        let check: RowCheck
    }

    /// More of either, and the memory starts over.
    private static let entriesMax = 1024

    /// A checker with memory of its own.
    package init() {}

    /// True when the row after a change is valid, as far as its values are known. Changes without such a row are.
    package func accepts(
        _ change: RowChange, of batch: ChangeBatch, _ relation: Relation, _ rules: RowRules
    ) -> Bool {
        guard change.hasCheckedRow else { return true }
        if rules.contradiction != nil { return false }
        let plan = plan(for: relation)
        let frozen = batch.body
        let body = frozen.bytes
        guard (try? images.read(change, plan, body)) != nil else { return false }
        let check = check(for: rules)
        let (columns, hasRest) = (rules.schema.columns, rules.schema.hasRest)
        var isWhole = true
        if hasRest { check.beginRow() }
        for place in rules.columns {
            let value = images.after[place]
            if value.kind == ValueKind.unchanged {
                if columns[place].isInRest { isWhole = false }
                continue
            }
            let isInRest = hasRest && columns[place].isInRest
            let isValid = forms.with(value.kind, value.bytes(in: body), plan, place) { form, text in
                if columns[place].isChecked, (try? check.accepts(column: place, form, text)) != true { return false }
                return !isInRest || check.add(column: place, form, text)
            }
            if !isValid { return false }
        }
        return !hasRest || !isWhole || (try? check.acceptsRow()) == true
    }

    /// Why a row that ``accepts(_:of:_:_:)`` refused is not valid, at most `most` reasons; without values.
    package func reasons(
        _ change: RowChange, of batch: ChangeBatch, _ relation: Relation, _ rules: RowRules, most: Int = 5
    ) -> [String] {
        guard change.hasCheckedRow else { return [] }
        if let contradiction = rules.contradiction { return [contradiction] }
        let plan = plan(for: relation)
        let frozen = batch.body
        let body = frozen.bytes
        guard (try? images.read(change, plan, body)) != nil else { return ["the row's bytes are damaged"] }
        let check = check(for: rules)
        let (columns, hasRest) = (rules.schema.columns, rules.schema.hasRest)
        var found: [ValidationFailure] = []
        var isWhole = true
        if hasRest { check.beginRow() }
        do throws(ValidationLimit) {
            for place in rules.columns where found.count < most {
                let value = images.after[place]
                if value.kind == ValueKind.unchanged {
                    if columns[place].isInRest { isWhole = false }
                    continue
                }
                let outcome = forms.with(value.kind, value.bytes(in: body), plan, place) { form, text in
                    Result { () throws(ValidationLimit) in
                        if hasRest, columns[place].isInRest { _ = check.add(column: place, form, text) }
                        return columns[place].isChecked
                            ? try check.failures(column: place, form, text, most: most) : []
                    }
                }
                found += try outcome.get()
            }
            if hasRest, isWhole, found.count < most { found += try check.rowFailures(most: most - found.count) }
        } catch {
            return found.map(Self.text) + ["the check ended without a verdict: \(Self.text(of: error))"]
        }
        return found.prefix(most).map(Self.text)
    }

    /// A failure in words. Names inside of a column's value are the row's own, and not for messages.
    private static func text(_ failure: ValidationFailure) -> String {
        var failure = failure
        guard let end = failure.instancePath.utf8.dropFirst().firstIndex(of: UInt8(ascii: "/")) else {
            return failure.description
        }
        failure.instancePath = "inside of " + failure.instancePath[..<end]
        return failure.description
    }

    private static func text(of limit: ValidationLimit) -> String {
        switch limit {
        case .steps: "more steps than a schema may need for a row of that size"
        case .depth: "checks nested too deep"
        case .pattern: "an expression that takes too long"
        }
    }

    private func check(for rules: RowRules) -> RowCheck {
        if let latestCheck, latestCheck.rules === rules { return latestCheck.check }
        let known = checks[ObjectIdentifier(rules)] ?? KnownCheck(rules: rules, check: RowCheck(rules.schema))
        if checks.count >= Self.entriesMax { checks.removeAll() }
        checks[ObjectIdentifier(rules)] = known
        latestCheck = known
        return known.check
    }

    private func plan(for relation: Relation) -> ColumnPlan {
        if let latestPlan, latestPlan.relation === relation { return latestPlan.plan }
        let known = plans[ObjectIdentifier(relation)] ?? KnownPlan(relation)
        if plans.count >= Self.entriesMax { plans.removeAll() }
        plans[ObjectIdentifier(relation)] = known
        latestPlan = known
        return known.plan
    }
}

// MARK: - Keys

/// The rows that a change is about, by hashes of their keys.
package struct RowKeys: Sendable, Equatable {
    /// The row after the change; nil without one.
    package var after: UInt64?
    /// The row before it, when that has another key or is gone; nil otherwise.
    package var before: UInt64?
    /// True when it cannot be told which row it is: without a key, with a damaged one, or for all rows of a table.
    package var isUnknown = false
}

extension RowChecker {
    /// Which rows a change is about. Two keys may have one hash, but one key never has two.
    package func keys(_ change: RowChange, of batch: ChangeBatch, _ relation: Relation) -> RowKeys {
        let plan = plan(for: relation)
        let frozen = batch.body
        let body = frozen.bytes
        guard !plan.keyColumns.isEmpty, change.operation != .truncate, (try? images.read(change, plan, body)) != nil
        else { return RowKeys(isUnknown: true) }
        var keys = RowKeys()
        if change.operation == .delete || images.isKeyChanged {
            keys.before = Self.hash(images.before, plan, body)
            if keys.before == nil { return RowKeys(isUnknown: true) }
        }
        if change.operation != .delete {
            keys.after = Self.hash(images.after, plan, body)
            if keys.after == nil { return RowKeys(isUnknown: true) }
        }
        return keys
    }

    /// FNV-1a of 64 bits over the kinds and bytes of the key; nil when a part of it is not there.
    private static func hash(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan) -> UInt64? {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for column in plan.keyColumns {
            guard column < image.count, image[column].kind != ValueKind.unchanged else { return nil }
            let bytes = image[column].bytes(in: body)
            hash = (hash ^ UInt64(image[column].kind)) &* 0x100_0000_01B3
            for place in 0..<bytes.byteCount { hash = (hash ^ UInt64(bytes.byte(place))) &* 0x100_0000_01B3 }
            hash = (hash ^ 0xFF) &* 0x100_0000_01B3
        }
        return hash
    }
}

extension RowChange {
    /// True for a change that leaves a row behind which its contract is about.
    fileprivate var hasCheckedRow: Bool {
        switch operation {
        case .insert, .update, .snapshot: true
        case .delete, .truncate, .message, .begin, .commit: false
        }
    }
}

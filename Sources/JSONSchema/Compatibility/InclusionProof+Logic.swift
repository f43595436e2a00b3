internal import JSONText

/// Keywords that apply other schemas to the same value.
extension InclusionProof {
    func checkLogic(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        var holds = true
        if facts.hasUnknownReference {
            holds = require(set, .all, spot, { _ in false }) { set in
                fail(
                    .notComparable, spot, "", set,
                    "where a dynamic reference leads depends on the way to it, which is not compared")
            }
        }
        for target in facts.references + facts.allOf {
            if !holds && !isReporting { return false }
            holds = claim(set, target) && holds
        }
        if !holds && !isReporting { return false }
        if !facts.anyOf.isEmpty {
            let isTaken = require(set, .all, spot, { self.isTaken($0, byAnyOf: facts.anyOf) }) { set in
                explain(set, spot, "anyOf", facts.anyOf, .anyOfNarrowed)
            }
            holds = isTaken && holds
        }
        if !holds && !isReporting { return false }
        if !facts.oneOf.isEmpty {
            let isTaken = require(set, .all, spot, { self.isTaken($0, byOneOf: facts.oneOf) }) { set in
                explain(oneOf: facts.oneOf, set, spot)
            }
            holds = isTaken && holds
        }
        if !holds && !isReporting { return false }
        guard let not = facts.not else { return holds }
        let isApart = require(set, .all, spot, { self.isEmpty(self.set($0, and: [not])) }) { set in
            fail(
                .notExtended, spot, "not", set,
                "nothing shows that the writer allows nothing of what the reader excludes")
        }
        return isApart && holds
    }

    /// True when each value fits at least one branch.
    private func isTaken(_ set: ValueSet, byAnyOf branches: [Spot]) -> Bool {
        guard spend(branches.count) else { return false }
        if branches.contains(where: { isProved(set, $0) }) { return true }
        let kinds = set.kinds.single
        return kinds.count > 1
            && kinds.allSatisfy { kind in
                let part = set.restricted(to: kind)
                return branches.contains { isProved(part, $0) } || isTakenCaseByCase(part, byAnyOf: branches)
            }
    }

    private func isTakenCaseByCase(_ set: ValueSet, byAnyOf branches: [Spot]) -> Bool {
        if isEmpty(set) { return true }
        if let values = values(of: set) {
            return values.allSatisfy { value in branches.contains { spots.verdict(on: value, $0) == .valid } }
        }
        return cases(of: set)?.allSatisfy { part in
            branches.contains { isProved(part, $0) } || isTakenCaseByCase(part, byAnyOf: branches)
        } ?? false
    }

    /// True when each value fits exactly one branch.
    private func isTaken(_ set: ValueSet, byOneOf branches: [Spot]) -> Bool {
        guard spend(branches.count) else { return false }
        if isTakenAlone(set, branches) { return true }
        let kinds = set.kinds.single
        return kinds.count > 1
            && kinds.allSatisfy { kind in
                let part = set.restricted(to: kind)
                return isTakenAlone(part, branches) || isTakenCaseByCase(part, byOneOf: branches)
            }
    }

    private func isTakenCaseByCase(_ set: ValueSet, byOneOf branches: [Spot]) -> Bool {
        if isEmpty(set) { return true }
        if let values = values(of: set) {
            return values.allSatisfy { value in
                let verdicts = branches.map { spots.verdict(on: value, $0) }
                return verdicts.count { $0 == .valid } == 1 && !verdicts.contains(.unknown)
            }
        }
        return cases(of: set)?.allSatisfy { part in
            isTakenAlone(part, branches) || isTakenCaseByCase(part, byOneOf: branches)
        } ?? false
    }

    /// True when one branch takes the whole set, and no other any of it.
    private func isTakenAlone(_ set: ValueSet, _ branches: [Spot]) -> Bool {
        branches.indices.contains { index in
            let others = branches.indices.filter { $0 != index }.map { branches[$0] }
            let isApartByKind = others.allSatisfy { self.set(set, and: [$0]).kinds.isEmpty }
            // What the policy assumes makes a branch larger, and it could then overlap with another.
            let isTaken =
                isApartByKind ? isProved(set, branches[index]) : strictly { isProved(set, branches[index]) }
            guard isTaken else { return false }
            return isApartByKind || others.allSatisfy { isEmpty(self.set(set, and: [$0])) }
        }
    }

    private func explain(oneOf branches: [Spot], _ set: ValueSet, _ spot: Spot) {
        let isCovered = quietly {
            isTaken(set, byAnyOf: branches) || isTakenCaseByCase(set, byAnyOf: branches)
        }
        if isCovered {
            fail(
                .oneOfAmbiguous, spot, "oneOf", set,
                "a value of the writer's may fit more than one branch of the reader's oneOf")
        } else {
            explain(set, spot, "oneOf", branches, .oneOfNarrowed)
        }
    }

    /// Notes what no branch takes; where only one branch could, why that one does not.
    private func explain(_ set: ValueSet, _ spot: Spot, _ keyword: String, _ branches: [Spot], _ rule: SchemaRule) {
        let refused = quietly {
            set.kinds.single.filter { kind in
                let part = set.restricted(to: kind)
                return !isEmpty(part) && !branches.contains { isProved(part, $0) }
                    && !isTakenCaseByCase(part, byAnyOf: branches)
            }
        }
        let kinds = refused.reduce(into: ValueKinds()) { $0.formUnion($1) }
        let part = kinds.isEmpty ? set : set.restricted(to: kinds)
        let candidates = branches.filter { !self.set(part, and: [$0]).kinds.isEmpty }
        if candidates.count == 1, let only = candidates.first, !kinds.isEmpty {
            if !claim(part, only) { return }
        }
        let failing = failingCases(part, spot) { isTaken($0, byAnyOf: branches) }.map { "/\($0)" }
        let cases = failing.isEmpty ? "" : " (by its branch \(failing.prefix(5).joined(separator: ", ")))"
        fail(
            rule, spot, keyword, set,
            "no branch of the reader's \(keyword) takes every \(part.kinds.text) that the writer allows\(cases)")
    }

    func checkCondition(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard let condition = facts.condition else { return true }
        let parts = [
            (self.set(set, and: [condition.test]), condition.then),
            (self.set(set, without: condition.test), condition.otherwise),
        ]
        var holds = true
        for (values, target) in parts {
            guard let target else { continue }
            if !holds && !isReporting { return false }
            let isTaken = require(values, .all, spot, { self.isProved($0, target) }) { _ in
                let keyword = target == condition.then ? "then" : "else"
                fail(
                    .conditionNarrowed, spot, keyword, set,
                    "the writer allows what the reader's \(keyword) refuses under its condition")
            }
            holds = isTaken && holds
        }
        return holds
    }

    func checkDependencies(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard !facts.dependencies.isEmpty, set.kinds.contains(.object) else { return true }
        var holds = true
        for dependency in facts.dependencies {
            if !holds && !isReporting { return false }
            var with = set.restricted(to: .object)
            with.setPresent(number(of: dependency.name))
            let word = "\"" + String(decoding: dependency.name.prefix(100), as: UTF8.self) + "\""
            let isImplied: Bool
            if let target = dependency.spot {
                isImplied = require(with, .object, spot, { self.isProved($0, target) }) { set in
                    fail(
                        .dependentSchemaNarrowed, spot, dependency.keyword, set,
                        "with \(word) the writer allows what the reader refuses")
                }
            } else {
                let isRequired = { (set: ValueSet) in
                    self.summary(set).present.isSuperset(of: dependency.required)
                }
                isImplied = require(with, .object, spot, isRequired) { set in
                    fail(
                        .dependentRequiredAdded, spot, dependency.keyword, set,
                        "with \(word) the reader requires other members, the writer does not")
                }
            }
            holds = isImplied && holds
        }
        return holds
    }
}

internal import JSONText

/// Keywords about arrays.
extension InclusionProof {
    /// What is known of the elements at an index.
    func item(_ set: ValueSet, _ index: Int) -> ValueSet {
        var found: [Spot] = []
        for spot in set.spots {
            let facts = facts(spot)
            if index < facts.prefix.count {
                found.append(facts.prefix[index])
            } else if let items = facts.items {
                found.append(items)
            }
            if let rest = facts.unevaluatedItems, isNeverEvaluated(index, by: spot) { found.append(rest) }
        }
        return self.set(of: found, inside: set) { facts in
            facts.prefix + [facts.items, facts.unevaluatedItems, facts.contains?.spot].compactMap { $0 }
        }
    }

    /// True when nothing beside `unevaluatedItems` can look at the elements of an index.
    private func isNeverEvaluated(_ index: Int, by spot: Spot) -> Bool {
        !inPlace(self.set(of: [spot])).contains { other in
            let facts = facts(other)
            return index < facts.prefix.count || facts.items != nil || facts.contains != nil
                || facts.hasUnknownReference || (other != spot && facts.unevaluatedItems != nil)
        }
    }

    /// How many elements an array can have: it ends where nothing may stand.
    func itemsMax(_ set: ValueSet, _ summary: ValueSummary) -> Int {
        for index in 0...summary.prefixCount where index < summary.maxItems {
            if item(set, index).kinds.isEmpty { return index }
        }
        return summary.maxItems
    }

    func checkArrays(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard set.kinds.contains(.array) else { return true }
        var holds = true
        if let least = facts.minItems, least > 0 {
            holds = require(set, .array, spot, { self.implies($0, minItems: least) }) { set in
                fail(.minItemsRaised, spot, "minItems", set, "the writer allows arrays with fewer elements")
            }
        }
        if !holds && !isReporting { return false }
        if let most = facts.maxItems {
            let isImplied = require(set, .array, spot, { self.itemsMax($0, self.summary($0)) <= most }) { set in
                fail(.maxItemsLowered, spot, "maxItems", set, "the writer allows arrays with more elements")
            }
            holds = isImplied && holds
        }
        if !holds && !isReporting { return false }
        if facts.isUnique {
            let isUnique = { (set: ValueSet) in
                self.summary(set).isUnique || self.itemsMax(set, self.summary(set)) <= 1
            }
            let isImplied = require(set, .array, spot, isUnique) { set in
                fail(.uniqueItemsAdded, spot, "uniqueItems", set, "the writer allows equal elements")
            }
            holds = isImplied && holds
        }
        if !holds && !isReporting { return false }
        guard !facts.prefix.isEmpty || facts.items != nil else { return holds }
        let model = ItemModel(prefix: facts.prefix, prefixCount: facts.prefix.count, rest: facts.items)
        return checkItems(set, spot, model) && holds
    }

    private func implies(_ set: ValueSet, minItems least: Int) -> Bool {
        let summary = summary(set)
        return summary.minItems >= least || summary.contains.contains { $0.least >= least }
    }

    /// What a subschema asks of each element.
    struct ItemModel {
        /// Without schemas where the elements only count as looked at.
        var prefix: [Spot]
        var prefixCount: Int
        var rest: Spot?
    }

    func checkItems(_ set: ValueSet, _ spot: Spot, _ model: ItemModel) -> Bool {
        require(set, .array, spot, { self.areItemsTaken($0, spot, model) }) { set in
            _ = areItemsTaken(set, spot, model)
        }
    }

    private func areItemsTaken(_ set: ValueSet, _ spot: Spot, _ model: ItemModel) -> Bool {
        let summary = summary(set)
        let most = itemsMax(set, summary)
        let count = max(summary.prefixCount, model.prefixCount)
        var holds = true
        for index in 0...count where index < most {
            guard spend(1) else { return false }
            let target =
                index < model.prefixCount ? (index < model.prefix.count ? model.prefix[index] : nil) : model.rest
            guard let target else { continue }
            let elements = item(set, index)
            let isTaken = inside(index == count ? "*" : String(index)) {
                if isProved(elements, target) { return true }
                guard isReporting else { return false }
                if elements.spots.isEmpty || facts(target).allowsNothing {
                    let what = facts(target).allowsNothing ? "no element" : "certain elements only"
                    let sentence = "the reader allows \(what) here, the writer more"
                    fail(.itemsNarrowed, target, "", set, sentence)
                    return false
                }
                return claim(elements, target)
            }
            holds = isTaken && holds
            if !holds && !isReporting { return false }
        }
        return holds
    }

    func checkContains(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard let wanted = facts.contains, set.kinds.contains(.array) else { return true }
        return require(
            set, .array, spot,
            { set in
                self.strictly { self.hasEnough(set, wanted) && self.hasNotTooMany(set, wanted) }
            }
        ) { set in
            fail(
                .containsNarrowed, spot, "contains", set,
                "nothing shows that the writer's arrays contain as many such elements as the reader asks for")
        }
    }

    private func hasEnough(_ set: ValueSet, _ wanted: SchemaFacts.Contains) -> Bool {
        if wanted.least == 0 { return true }
        let summary = summary(set)
        let isContained = summary.contains.contains { known in
            known.least >= wanted.least
                && inside("*") {
                    (0...summary.prefixCount).allSatisfy { index in
                        isProved(self.set(item(set, index), and: [known.spot]), wanted.spot)
                    }
                }
        }
        if isContained { return true }
        let matching = (0...summary.prefixCount).filter { index in
            index < summary.minItems && inside("*") { isProved(item(set, index), wanted.spot) }
        }
        let isRestMatching = matching.last == summary.prefixCount
        let rest = isRestMatching ? summary.minItems - summary.prefixCount - 1 : 0
        return matching.count + max(0, rest) >= wanted.least
    }

    private func hasNotTooMany(_ set: ValueSet, _ wanted: SchemaFacts.Contains) -> Bool {
        guard let most = wanted.most else { return true }
        let summary = summary(set)
        if itemsMax(set, summary) <= most { return true }
        return inside("*") {
            summary.contains.contains { known in
                guard let limit = known.most, limit <= most else { return false }
                return (0...summary.prefixCount).allSatisfy { index in
                    isProved(self.set(item(set, index), and: [wanted.spot]), known.spot)
                }
            }
                || (0...summary.prefixCount).allSatisfy { index in
                    isEmpty(self.set(item(set, index), and: [wanted.spot]))
                }
        }
    }
}

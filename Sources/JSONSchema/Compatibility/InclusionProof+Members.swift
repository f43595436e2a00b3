internal import JSONText

/// What is known of the members of a set's objects.
extension InclusionProof {
    /// What a subschema asks of each member: by its name, by expressions, and of all others.
    struct MemberModel {
        var properties: [SchemaFacts.Property] = []
        var spotOfProperty: [[UInt8]: Spot] = [:]
        var patterns: [SchemaFacts.PatternProperty] = []
        var rest: Spot?
        var restKeyword = "additionalProperties"
    }

    /// What is known of the member of a name.
    func member(_ set: ValueSet, _ name: [UInt8]) -> ValueSet {
        if isAbsent(name, set) { return .empty }
        var found: [Spot] = []
        for spot in set.spots {
            let facts = facts(spot)
            if let names = facts.names, isRefused(name, names) { return .empty }
            if facts.describesMembers {
                let before = found.count
                var isNamed = false
                if let property = facts.spotOfProperty[name] {
                    found.append(property)
                    isNamed = true
                }
                for other in facts.patternProperties where matches(other.pattern, name) {
                    found.append(other.spot)
                    isNamed = true
                }
                if !isNamed, let additional = facts.additional { found.append(additional) }
                if isExhausted { found.removeLast(found.count - before) }
            }
            if let rest = facts.unevaluatedProperties, isNeverEvaluated(name, by: spot) { found.append(rest) }
        }
        return self.set(of: found, inside: set) { facts in
            let named = [facts.spotOfProperty[name], facts.additional, facts.unevaluatedProperties].compactMap { $0 }
            return named + facts.patternProperties.map(\.spot)
        }
    }

    private func isRefused(_ name: [UInt8], _ names: Spot) -> Bool {
        if facts(names).allowsNothing { return true }
        guard let tape = try? JSONTape(.string(String(decoding: name, as: UTF8.self))), spend(1) else { return false }
        return spots.verdict(on: tape, names) == .invalid
    }

    /// True when nothing beside `unevaluatedProperties` can look at a member; with nil, at one that nobody names.
    private func isNeverEvaluated(_ name: [UInt8]?, by spot: Spot) -> Bool {
        !inPlace(set(of: [spot])).contains { other in
            let facts = facts(other)
            if facts.additional != nil || facts.hasUnknownReference { return true }
            if other != spot && facts.unevaluatedProperties != nil { return true }
            guard let name else { return !facts.patternProperties.isEmpty }
            return facts.spotOfProperty[name] != nil || facts.patternProperties.contains { matches($0.pattern, name) }
        }
    }

    /// Every name that the set's subschemas or the model say something about; when `propertyNames` lists all names,
    /// these.
    func explicitNames(_ set: ValueSet, _ model: MemberModel) -> [[UInt8]] {
        if let listed = listedNames(set) { return listed }
        var names: [[UInt8]] = []
        var seen: Set<[UInt8]> = []
        func add(_ name: [UInt8]) { if seen.insert(name).inserted { names.append(name) } }
        for property in model.properties { add(property.name) }
        for spot in set.spots {
            for property in facts(spot).properties { add(property.name) }
            if facts(spot).unevaluatedProperties == nil { continue }
            for other in inPlace(self.set(of: [spot])) {
                for property in facts(other).properties { add(property.name) }
            }
        }
        for name in summary(set).present.sorted(by: { $0.lexicographicallyPrecedes($1) }) { add(name) }
        for (name, number) in nameNumbers where set.absent.contains(number) { add(name) }
        return names
    }

    /// The names that members can have, when `propertyNames` says them one by one.
    private func listedNames(_ set: ValueSet) -> [[UInt8]]? {
        let names = nameSet(set)
        if names.kinds.isEmpty { return [] }
        if names.spots.isEmpty { return nil }
        return values(of: names)?.compactMap { tape in
            (try? JSONValue(parsing: tape.bytes))?.string.map { Array($0.utf8) }
        }
    }

    /// What is known of the names of members.
    func nameSet(_ set: ValueSet) -> ValueSet {
        self.set(of: set.spots.compactMap { facts($0).names }).restricted(to: .string)
    }

    /// Sets that together hold whatever stands under names that nobody lists: with `pattern`, those that it is found
    /// in; without the patterns of `passing`.
    func otherMembers(_ set: ValueSet, matching pattern: [UInt8]?, passing: Set<[UInt8]>) -> [ValueSet] {
        if listedNames(set) != nil { return [] }
        var alternatives: [[Spot]] = [[]]
        for spot in set.spots {
            let facts = facts(spot)
            var choices: [[Spot]] = []
            if let pattern, let same = facts.patternProperties.first(where: { $0.source == pattern }) {
                choices = [[same.spot]]
            } else if facts.describesMembers {
                choices = facts.patternProperties.filter { !passing.contains($0.source) }.map { [$0.spot] }
                choices.append([facts.additional].compactMap { $0 })
            }
            if let rest = facts.unevaluatedProperties, isNeverEvaluated(nil, by: spot) {
                choices = choices.isEmpty ? [[rest]] : choices.map { $0 + [rest] }
            }
            // A choice without any knowledge makes the others useless; so do too many of them.
            if choices.isEmpty || choices.contains([]) || alternatives.count * choices.count > 64 { continue }
            alternatives = alternatives.flatMap { known in choices.map { known + $0 } }
        }
        return alternatives.map { found in
            self.set(of: found, inside: set) { facts in
                let others = [facts.additional, facts.unevaluatedProperties].compactMap { $0 }
                return others + facts.patternProperties.map(\.spot) + facts.properties.map(\.spot)
            }
        }.filter { !$0.kinds.isEmpty }
    }

    /// True when the set's subschemas say nothing about a name, not even under a condition.
    func isUndeclared(_ set: ValueSet, _ name: [UInt8]) -> Bool {
        !inPlace(set).contains { spot in
            let facts = facts(spot)
            if facts.hasUnknownReference || facts.spotOfProperty[name] != nil { return true }
            if let rest = facts.additional, !self.facts(rest).allowsEverything { return true }
            if let rest = facts.unevaluatedProperties, !self.facts(rest).allowsEverything { return true }
            return facts.patternProperties.contains { matches($0.pattern, name) }
        }
    }
}

/// Keywords about the members of objects.
extension InclusionProof {
    func checkMembers(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard facts.describesMembers, set.kinds.contains(.object) else { return true }
        return checkMembers(
            set, spot,
            MemberModel(
                properties: facts.properties, spotOfProperty: facts.spotOfProperty, patterns: facts.patternProperties,
                rest: facts.additional))
    }

    func checkMembers(_ set: ValueSet, _ spot: Spot, _ model: MemberModel) -> Bool {
        require(set, .object, spot, { self.areMembersTaken($0, spot, model) }) { set in
            _ = areMembersTaken(set, spot, model)
        }
    }

    private func areMembersTaken(_ set: ValueSet, _ spot: Spot, _ model: MemberModel) -> Bool {
        var holds = true
        for name in explicitNames(set, model) {
            guard spend(1) else { return false }
            holds = isMemberTaken(set, name, spot, model) && holds
            if !holds && !isReporting { return false }
        }
        for pattern in model.patterns where pattern.spot >= 0 {
            holds = areMatchingMembersTaken(set, pattern, spot) && holds
            if !holds && !isReporting { return false }
        }
        return areOtherMembersTaken(set, spot, model) && holds
    }

    private func isMemberTaken(_ set: ValueSet, _ name: [UInt8], _ spot: Spot, _ model: MemberModel) -> Bool {
        let values = member(set, name)
        if values.kinds.isEmpty { return true }
        var targets: [Spot] = []
        var isRest = false
        let property = model.spotOfProperty[name]
        if let property, property >= 0 { targets.append(property) }
        let patterns = model.patterns.filter { matches($0.pattern, name) }
        targets += patterns.map(\.spot).filter { $0 >= 0 }
        if property == nil, patterns.isEmpty, let rest = model.rest {
            targets.append(rest)
            isRest = true
        }
        var holds = true
        for target in targets {
            // Nobody writes what no schema names: that is the lenient policy.
            if isLenient, target == property, isUndeclared(set, name) { continue }
            let text = String(decoding: name, as: UTF8.self)
            let isTaken = inside(text) {
                if isProved(values, target) { return true }
                if isReporting { explain(set, values, name, spot, target, isRest ? model.restKeyword : nil) }
                return false
            }
            holds = isTaken && holds
            if !holds && !isReporting { return false }
        }
        return holds
    }

    /// Notes why a member is not taken.
    private func explain(
        _ set: ValueSet, _ values: ValueSet, _ name: [UInt8], _ spot: Spot, _ target: Spot, _ restKeyword: String?
    ) {
        let word = "\"" + String(decoding: name.prefix(100), as: UTF8.self) + "\""
        let declared = set.spots.contains { facts($0).spotOfProperty[name] != nil }
        if let restKeyword {
            let isClosed = facts(target).allowsNothing
            if !isClosed, quietly({ !isProved(values, target) }), !values.spots.isEmpty, !declared {
                _ = claim(values, target)
                return
            }
            note(
                SchemaBreak(
                    isClosed ? .propertyRemovedFromClosedModel : .propertyNotCoveredByModel,
                    path: removedPath(set, name) ?? spots.location(spot) + "/" + restKeyword,
                    instancePath: instancePath(), reader: facts(target).schema.shortText,
                    writer: values.spots.first.map { facts($0).schema.shortText },
                    sentence: isClosed
                        ? "the writer has \(word), and the reader's \(restKeyword) allows no other members"
                        : "the writer has \(word), which the reader's \(restKeyword) does not cover"))
        } else if facts(target).allowsNothing {
            fail(.propertyForbidden, target, "", values, "the reader forbids \(word)")
        } else if !declared, values.spots.isEmpty {
            fail(
                .propertyAddedToOpenModel, target, "", values,
                "the writer does not name \(word) and allows any value there")
        } else if !declared {
            fail(
                .propertyAddedToPartlyOpenModel, target, "", values,
                "the writer allows \(word) by its rule for other members, with values that the reader refuses")
        } else {
            _ = claim(values, target)
        }
    }

    /// Where the writer has a member that the reader has not.
    private func removedPath(_ set: ValueSet, _ name: [UInt8]) -> String? {
        set.spots.lazy.compactMap { self.facts($0).spotOfProperty[name] }.first.map { spots.location($0) }
    }

    private func areMatchingMembersTaken(
        _ set: ValueSet, _ pattern: SchemaFacts.PatternProperty, _ spot: Spot
    ) -> Bool {
        let others = otherMembers(set, matching: pattern.source, passing: [])
        return inside("*") {
            for values in others where !isProved(values, pattern.spot) {
                guard isReporting else { return false }
                if set.spots.contains(where: { facts($0).patternProperties.contains { $0.source == pattern.source } }) {
                    return claim(values, pattern.spot)
                }
                let text = String(decoding: pattern.source.prefix(100), as: UTF8.self)
                fail(
                    .patternPropertyAdded, pattern.spot, "", values,
                    "the reader says what members that \(text) is found in must be, the writer allows more there")
                return false
            }
            return true
        }
    }

    private func areOtherMembersTaken(_ set: ValueSet, _ spot: Spot, _ model: MemberModel) -> Bool {
        guard let rest = model.rest, !facts(rest).allowsEverything else { return true }
        let others = otherMembers(set, matching: nil, passing: Set(model.patterns.map(\.source)))
        return inside("*") {
            for values in others where !isProved(values, rest) {
                guard isReporting else { return false }
                if !values.spots.isEmpty, !facts(rest).allowsNothing { return claim(values, rest) }
                let isClosed = facts(rest).allowsNothing
                fail(
                    isClosed ? .modelClosed : .modelNarrowed, spot, model.restKeyword, set,
                    isClosed
                        ? "the writer allows members that no schema names, the reader does not"
                        : "the writer allows more than the reader in members that no schema names")
                return false
            }
            return true
        }
    }

    func checkRequired(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard set.kinds.contains(.object) else { return true }
        var holds = true
        for name in facts.required {
            if isLenient, hasUsefulDefault(name, facts) { continue }
            guard spend(1) else { return false }
            let isRequired = require(set, .object, spot, { self.summary($0).present.contains(name) }) { set in
                let word = "\"" + String(decoding: name.prefix(100), as: UTF8.self) + "\""
                _ = inside(String(decoding: name, as: UTF8.self)) {
                    fail(.requiredAdded, spot, "required", set, "the reader requires \(word), the writer does not")
                    return false
                }
            }
            holds = isRequired && holds
            if !holds && !isReporting { return false }
        }
        return holds
    }

    /// True for a member whose schema has a default that is valid under it.
    private func hasUsefulDefault(_ name: [UInt8], _ facts: SchemaFacts) -> Bool {
        guard let spot = facts.spotOfProperty[name], let value = self.facts(spot).schema["default"],
            let tape = try? JSONTape(value)
        else { return false }
        return spots.verdict(on: tape, spot) == .valid
    }

    func checkCounts(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard set.kinds.contains(.object) else { return true }
        var holds = true
        if let least = facts.minProperties, least > 0 {
            holds = require(set, .object, spot, { self.summary($0).minProperties >= least }) { set in
                fail(.minPropertiesRaised, spot, "minProperties", set, "the writer allows objects with fewer members")
            }
        }
        if !holds && !isReporting { return false }
        if let most = facts.maxProperties {
            let isImplied = require(set, .object, spot, { self.implies($0, maxProperties: most) }) { set in
                fail(.maxPropertiesLowered, spot, "maxProperties", set, "the writer allows objects with more members")
            }
            holds = isImplied && holds
        }
        if !holds && !isReporting { return false }
        guard let names = facts.names else { return holds }
        let isImplied = require(set, .object, spot, { self.areNamesTaken($0, names) }) { set in
            fail(.propertyNamesNarrowed, spot, "propertyNames", set, "the writer allows names that the reader refuses")
        }
        return isImplied && holds
    }

    private func implies(_ set: ValueSet, maxProperties most: Int) -> Bool {
        if summary(set).maxProperties <= most { return true }
        guard otherMembers(set, matching: nil, passing: []).isEmpty else { return false }
        return explicitNames(set, MemberModel()).count { !member(set, $0).kinds.isEmpty } <= most
    }

    private func areNamesTaken(_ set: ValueSet, _ names: Spot) -> Bool {
        if inside("*", { isProved(nameSet(set), names) }) { return true }
        guard otherMembers(set, matching: nil, passing: []).isEmpty else { return false }
        return explicitNames(set, MemberModel()).allSatisfy { name in
            if member(set, name).kinds.isEmpty { return true }
            guard let tape = try? JSONTape(.string(String(decoding: name, as: UTF8.self))) else { return false }
            return spots.verdict(on: tape, names) == .valid
        }
    }
}

internal import ByteKit
internal import JSONText

/// Making sets of values, and what they say.
extension InclusionProof {
    /// The values that fit all of some subschemas.
    func set(of spots: [Spot]) -> ValueSet {
        var set = ValueSet()
        extend(&set, with: spots)
        return set
    }

    /// The values of a set that fit some more subschemas.
    func set(_ set: ValueSet, and spots: [Spot]) -> ValueSet {
        var set = set
        extend(&set, with: spots)
        return set
    }

    /// The values of a set that do not fit a subschema.
    func set(_ set: ValueSet, without spot: Spot) -> ValueSet {
        var set = set
        if facts(spot).allowsEverything { return .empty }
        set.exclude(spot)
        return set
    }

    /// Whoever fits a subschema fits what it refers to, and all of its `allOf`.
    private func extend(_ set: inout ValueSet, with more: [Spot]) {
        var waiting = more
        var seen = Set(set.spots)
        while let spot = waiting.popLast() {
            guard seen.insert(spot).inserted, spend(1) else { continue }
            let facts = facts(spot)
            set.kinds.formIntersection(facts.kinds)
            if facts.allowsEverything || facts.allowsNothing { continue }
            set.insert(spot)
            waiting += facts.references + facts.allOf
            if let not = facts.not {
                if self.facts(not).allowsEverything { set.kinds = [] } else { set.exclude(not) }
            }
        }
    }

    /// The number of a member's name.
    func number(of name: [UInt8]) -> Int32 {
        if let known = nameNumbers[name] { return known }
        let number = Int32(nameNumbers.count)
        nameNumbers[name] = number
        return number
    }

    func isAbsent(_ name: [UInt8], _ set: ValueSet) -> Bool {
        !set.absent.isEmpty && set.absent.contains(number(of: name))
    }

    /// What the subschemas of a set say together.
    func summary(_ set: ValueSet) -> ValueSummary {
        if let known = summaries[set] { return known }
        var summary = ValueSummary()
        for spot in set.spots { summary.add(facts(spot)) }
        for (name, number) in nameNumbers where set.present.contains(number) { summary.present.insert(name) }
        var grows = true
        while grows {
            grows = false
            for spot in set.spots {
                for dependency in facts(spot).dependencies where summary.present.contains(dependency.name) {
                    for name in dependency.required where summary.present.insert(name).inserted { grows = true }
                }
            }
        }
        summary.minProperties = max(summary.minProperties, summary.present.count)
        summaries[set] = summary
        return summary
    }

    /// The values that fit all of some subschemas, which stand one step inside of another set's: `others` finds what
    /// its other subschemas in place may say there.
    func set(of found: [Spot], inside outer: ValueSet, others: (SchemaFacts) -> [Spot]) -> ValueSet {
        var set = set(of: found)
        guard isLenient else { return set }
        for spot in inPlace(outer) where !outer.spots.contains(spot) {
            for other in others(facts(spot)) where !set.spots.contains(other) { set.insert(possible: other) }
        }
        return set
    }

    /// All subschemas that look at the values of a set in any way, without going into them.
    func inPlace(_ set: ValueSet) -> [Spot] {
        if let known = inPlaceSpots[set] { return known }
        var found: [Spot] = []
        var seen = Set(set.spots + set.possible)
        var waiting = set.spots + set.possible
        while let spot = waiting.popLast() {
            guard spend(1) else { break }
            found.append(spot)
            waiting += facts(spot).inPlace.filter { seen.insert($0).inserted }
        }
        inPlaceSpots[set] = found
        return found
    }

    /// True when an expression is found in a name.
    func matches(_ pattern: TextPattern, _ name: [UInt8]) -> Bool {
        guard spend(1 + name.count / 8) else { return false }
        switch pattern.search(name.rawBytes, scratch) {
        case .found: return true
        case .notFound: return false
        case .gaveUp:
            giveUp()
            return false
        }
    }
}

// MARK: - Sets with few values

extension InclusionProof {
    private static let valuesMax = 20_000

    /// The values of a set that has so few that they can be listed; nil for others.
    func values(of set: ValueSet) -> [JSONTape]? {
        if let known = finite[set] { return known }
        let values = listValues(of: set)
        finite[set] = .some(values)
        return values
    }

    private func listValues(of set: ValueSet) -> [JSONTape]? {
        var candidates: [JSONValue]?
        for spot in set.spots where candidates == nil { candidates = facts(spot).values }
        if candidates == nil, set.kinds.isSubset(of: [.null, .bool]) {
            candidates = [.null, .bool(true), .bool(false)]
        }
        guard let candidates, candidates.count <= Self.valuesMax else { return nil }
        var values: [JSONTape] = []
        for candidate in candidates where set.kinds.isSuperset(of: ValueKinds(of: candidate)) {
            guard let tape = try? JSONTape(candidate), spend(1 + set.spots.count) else { return nil }
            // What cannot be decided stays: a set may be too large, never too small.
            if set.spots.contains(where: { spots.verdict(on: tape, $0) == .invalid }) { continue }
            if set.excluded.contains(where: { spots.verdict(on: tape, $0) == .valid }) { continue }
            values.append(tape)
        }
        return values
    }

    /// True when the reader takes all of some values.
    func take(_ values: [JSONTape], _ spot: Spot, _ set: ValueSet) -> Bool {
        if spot == Self.nothing { return values.isEmpty }
        guard spend(values.count) else { return false }
        let refused = values.filter { spots.verdict(on: $0, spot) != .valid }
        if isReporting { for value in refused.prefix(20) { explain(value, spot, set) } }
        return refused.isEmpty
    }

    private func explain(_ value: JSONTape, _ spot: Spot, _ set: ValueSet) {
        let text = (try? JSONValue(parsing: value.bytes))?.shortText ?? "a value"
        let failure = spots.firstFailure(of: value, spot)
        let reason = failure.map { ": \($0.instancePath.isEmpty ? "it " : "\($0.instancePath) ")\($0.reason)" } ?? ""
        let keyword = failure?.schemaPath.split(separator: "/").last.map(String.init) ?? ""
        note(
            SchemaBreak(
                SchemaRule(refusingKeyword: keyword), path: failure?.schemaPath ?? spots.location(spot),
                instancePath: instancePath(), reader: facts(spot).schema[keyword]?.shortText,
                writer: writerText(
                    set,
                    set.spots.lazy.compactMap { self.facts($0).schema["const"] }.first == nil
                        ? "enum" : "const"),
                sentence: "the writer allows \(text), the reader does not\(reason)"))
    }
}

extension SchemaRule {
    /// The rule for a single value that a keyword of the reader refuses.
    fileprivate init(refusingKeyword keyword: String) {
        switch keyword {
        case "type": self = .typeNarrowed
        case "const": self = .constChanged
        case "minimum", "exclusiveMinimum": self = .minimumRaised
        case "maximum", "exclusiveMaximum": self = .maximumLowered
        case "multipleOf": self = .multipleOfNarrowed
        case "minLength": self = .minLengthRaised
        case "maxLength": self = .maxLengthLowered
        case "pattern": self = .patternChanged
        case "format": self = .formatChanged
        case "anyOf": self = .anyOfNarrowed
        case "oneOf": self = .oneOfNarrowed
        case "not": self = .notExtended
        case "required": self = .requiredAdded
        default: self = .enumValueRemoved
        }
    }
}

internal import JSONText

/// Tries to prove that every value of a set fits a subschema.
///
/// What it calls proved holds; what it cannot prove may hold all the same. A proof goes over the keywords of the
/// subschema one by one and looks for what the set says that makes each one hold. Where that does not suffice, it looks
/// whether the set is empty, and tells cases apart (`anyOf`, `oneOf`, `if`, `dependentSchemas`).
///
/// A claim that comes back deeper inside of the same claim is taken for proved: documents have an end, so that the
/// claim for a document rests on the claim for smaller ones only.
final class InclusionProof {
    typealias Spot = Int32

    struct Claim: Hashable {
        var set: ValueSet
        var spot: Spot
        var isStrict: Bool
    }
    private struct Open {
        var level: Int
        var number: Int
    }

    let spots: SpotTable
    /// True while what is assumed by policy counts as true.
    private(set) var isLenient: Bool
    private var known: [Claim: Bool] = [:]
    private var open: [Claim: Open] = [:]
    private var explained: Set<Claim> = []
    /// The outermost open claim that something rests on.
    private var lowestUsed = Int.max
    /// How often the proof went from a value to one inside of it.
    private var level = 0
    private var depth = 0
    private var stepsLeft = 3_000_000
    /// Why the proof was given up; nil while it was not.
    private(set) var isExhausted = false

    var summaries: [ValueSet: ValueSummary] = [:]
    var finite: [ValueSet: [JSONTape]?] = [:]
    var inPlaceSpots: [ValueSet: [Spot]] = [:]
    var nameNumbers: [[UInt8]: Int32] = [:]
    let scratch = TextPattern.Scratch()

    private(set) var isReporting = false
    private(set) var breaks: [SchemaBreak] = []
    private var breaksSeen: Set<SchemaBreak> = []
    /// Where the values of the current claim stand in a document.
    private var path = JSONPointer()

    /// Stands for the subschema that nothing fits.
    static let nothing: Spot = -1
    /// Claims inside of each other. Their frames must fit on any thread's stack.
    private static let depthMax = 100
    /// Cases inside of each other, for one value.
    static let decidedMax = 6
    static let breaksMax = 500

    init(_ spots: SpotTable, _ policy: ComparisonPolicy) {
        self.spots = spots
        isLenient = policy == .lenient
        scratch.begin(byteCount: 24_000_000)
    }

    func facts(_ spot: Spot) -> SchemaFacts { spots.facts(spot) }

    /// Proves the claim, or notes why not.
    func claim(_ set: ValueSet, _ spot: Spot) -> Bool {
        if isProved(set, spot) { return true }
        if isReporting, explained.insert(Claim(set: set, spot: spot, isStrict: !isLenient)).inserted {
            depth += 1
            defer { depth -= 1 }
            let count = breaks.count
            if depth <= Self.depthMax { _ = attempt(set, spot) }
            if breaks.count == count {
                fail(.notComparable, spot, "", set, "nothing shows that the reader takes what the writer allows")
            }
        }
        return false
    }

    /// Proves the claim without noting anything.
    func isProved(_ set: ValueSet, _ spot: Spot) -> Bool {
        if set.kinds.isEmpty { return true }
        guard spend(1 + set.spots.count), depth < Self.depthMax else { return false }
        let claim = Claim(set: set, spot: spot, isStrict: !isLenient)
        if let known = known[claim] { return known }
        if let same = open[claim] {
            // Without a step into the value, the claim would rest on itself.
            guard same.level < level else { return false }
            lowestUsed = min(lowestUsed, same.number)
            return true
        }
        let number = open.count
        open[claim] = Open(level: level, number: number)
        let outerLowest = lowestUsed
        lowestUsed = .max
        depth += 1
        let holds = quietly { attempt(set, spot) }
        depth -= 1
        open[claim] = nil
        if !holds || lowestUsed >= number {
            known[claim] = holds
            lowestUsed = outerLowest
        } else {
            lowestUsed = min(outerLowest, lowestUsed)
        }
        return holds
    }

    /// Goes over the keywords.
    private func attempt(_ set: ValueSet, _ spot: Spot) -> Bool {
        if spot == Self.nothing { return isEmptyByParts(set) }
        let facts = facts(spot)
        if facts.allowsEverything || set.spots.contains(where: { spots.areAlike($0, spot) }) { return true }
        if let values = values(of: set) { return take(values, spot, set) }
        if facts.allowsNothing {
            return require(set, .all, spot, { _ in false }) { set in
                fail(.nothingAllowed, spot, "", set, "the reader allows nothing here")
            }
        }
        let keywords = [
            checkTypes, checkValues, checkNumbers, checkText, checkArrays, checkContains, checkMembers, checkRequired,
            checkCounts, checkDependencies, checkLogic, checkCondition, checkUnevaluated,
        ]
        var holds = true
        for keyword in keywords where !keyword(set, spot, facts) {
            holds = false
            if !isReporting { return false }
        }
        return holds
    }

    /// True when the keyword that `body` is about holds for the values of these kinds. Otherwise notes why not.
    func require(
        _ set: ValueSet, _ kinds: ValueKinds, _ spot: Spot, _ body: (ValueSet) -> Bool, explain: (ValueSet) -> Void
    ) -> Bool {
        let set = set.restricted(to: kinds)
        if set.kinds.isEmpty || quietly({ holds(set, spot, body) }) { return true }
        if isReporting { explain(set) }
        return false
    }

    /// `body`, an empty set, or each case by itself.
    private func holds(_ set: ValueSet, _ spot: Spot, _ body: (ValueSet) -> Bool) -> Bool {
        guard spend(1) else { return false }
        if body(set) || isEmpty(set) { return true }
        if !set.decided.isEmpty, let values = values(of: set) { return take(values, spot, set) }
        guard let cases = cases(of: set) else { return false }
        return cases.allSatisfy { holds($0, spot, body) }
    }

    /// The cases of a set that are not decided yet and in which `body` cannot be shown, by their numbers.
    func failingCases(_ set: ValueSet, _ spot: Spot, _ body: (ValueSet) -> Bool) -> [Int] {
        quietly {
            guard let cases = cases(of: set) else { return [] }
            return cases.indices.filter { !holds(cases[$0], spot, body) }
        }
    }

    /// Proves something one step further inside of the value.
    func inside(_ step: String, _ body: () -> Bool) -> Bool {
        level += 1
        let count = path.bytes.count
        path.append(name: step.utf8)
        defer {
            path.cut(to: count)
            level -= 1
        }
        return body()
    }

    /// Without noting anything.
    func quietly<T>(_ body: () -> T) -> T {
        let wasReporting = isReporting
        isReporting = false
        defer { isReporting = wasReporting }
        return body()
    }

    /// Without assuming anything by policy.
    func strictly<T>(_ body: () -> T) -> T {
        let wasLenient = isLenient
        isLenient = false
        defer { isLenient = wasLenient }
        return body()
    }

    /// Spends steps; false when there are none left.
    func spend(_ steps: Int) -> Bool {
        stepsLeft -= steps
        if stepsLeft < 0 { isExhausted = true }
        return stepsLeft >= 0
    }

    /// Gives up what cannot be decided in time.
    func giveUp() { isExhausted = true }
}

// MARK: - What is noted

extension InclusionProof {
    /// Proves the claim about the two whole schemas; what was noted is in ``breaks`` afterwards.
    func run() {
        let writer = set(of: [spots.writer])
        let reader = spots.reader
        if isProved(writer, reader) { return }
        if !isExhausted {
            isReporting = true
            _ = claim(writer, reader)
            isReporting = false
        }
        if isExhausted {
            breaks = []
            breaksSeen = []
            fail(.tooLarge, reader, "", writer, "the two schemas are too large or too entangled to be compared")
        }
    }

    /// Notes a break at a keyword of the reader; with an empty one, at the subschema itself.
    func fail(_ rule: SchemaRule, _ spot: Spot, _ keyword: String, _ set: ValueSet, _ sentence: String) {
        let place = spot == Self.nothing ? "" : spots.location(spot)
        let schema: JSONValue? = spot == Self.nothing ? nil : facts(spot).schema
        let names = keyword.split(separator: "/").map(String.init)
        let found = SchemaBreak(
            rule, path: place + (keyword.isEmpty ? "" : "/" + keyword), instancePath: path.text,
            reader: names.isEmpty ? schema?.shortText : names.first.flatMap { schema?[$0]?.shortText },
            writer: writerText(set, names.first), sentence: sentence)
        note(found)
    }

    /// Notes a break as it is; each one once.
    func note(_ found: SchemaBreak) {
        guard breaks.count < Self.breaksMax, breaksSeen.insert(found).inserted else { return }
        breaks.append(found)
    }

    /// What the writer says by a keyword: the first of its subschemas that has it.
    func writerText(_ set: ValueSet, _ keyword: String?) -> String? {
        for spot in set.spots {
            guard let keyword else { return facts(spot).schema.shortText }
            if let value = facts(spot).schema[keyword] { return value.shortText }
        }
        return nil
    }

    /// Where the values of the current claim stand, or one step further inside.
    func instancePath(_ step: String? = nil) -> String { step.map { path.appending($0).text } ?? path.text }
}

extension JSONValue {
    /// The value on one line, cut where it is long.
    var shortText: String {
        // Large values are not written as a whole to be cut.
        if let array, array.count > 50 { return "[\(array.count) elements]" }
        if let object, object.members.count > 50 { return "{\(object.members.count) members}" }
        let text = compactText.unicodeScalars
        return text.count <= 120 ? String(text) : String(String.UnicodeScalarView(text.prefix(117))) + "…"
    }
}

/// A set of JSON values, by what is known of them: their kinds, the subschemas that all of them fit, and those that
/// none of them fits. Always at least the values that it stands for, never less.
struct ValueSet: Hashable {
    typealias Spot = Int32
    typealias Name = Int32

    var kinds: ValueKinds = .all
    /// Subschemas that every value fits, in rising order.
    private(set) var spots: [Spot] = []
    /// Subschemas that no value fits, in rising order.
    private(set) var excluded: [Spot] = []
    /// Subschemas that some values may fit under conditions, in rising order; kept for the lenient policy only, which
    /// asks which members are named at all.
    private(set) var possible: [Spot] = []
    /// Members that every object has, in rising order.
    private(set) var present: [Name] = []
    /// Members that no object has, in rising order.
    private(set) var absent: [Name] = []
    /// Choices whose outcome is among the above already.
    private(set) var decided: [Int64] = []

    /// Nothing.
    static let empty = ValueSet(kinds: [])

    init(kinds: ValueKinds = .all) { self.kinds = kinds }

    /// The values of some kinds.
    func restricted(to kinds: ValueKinds) -> ValueSet {
        var set = self
        set.kinds.formIntersection(kinds)
        return set
    }

    mutating func insert(_ spot: Spot) { Self.insert(spot, &spots) }
    mutating func exclude(_ spot: Spot) { Self.insert(spot, &excluded) }
    mutating func insert(possible spot: Spot) { Self.insert(spot, &possible) }
    mutating func setPresent(_ name: Name) { Self.insert(name, &present) }
    mutating func setAbsent(_ name: Name) { Self.insert(name, &absent) }
    mutating func decide(_ choice: Int64) { Self.insert(choice, &decided) }

    private static func insert<T: Comparable>(_ value: T, _ list: inout [T]) {
        let place = list.firstIndex { $0 >= value } ?? list.count
        if place == list.count || list[place] != value { list.insert(value, at: place) }
    }
}

/// What the subschemas of a set say together.
struct ValueSummary {
    var lowers: [SchemaFacts.Bound] = []
    var uppers: [SchemaFacts.Bound] = []
    var divisors: [ExactNumber] = []
    var minLength = 0
    var maxLength = Int.max
    var patterns: Set<[UInt8]> = []
    var formats: Set<FormatCheck> = []
    var minItems = 0
    var maxItems = Int.max
    var isUnique = false
    var contains: [SchemaFacts.Contains] = []
    var minProperties = 0
    var maxProperties = Int.max
    /// Members that every object has.
    var present: Set<[UInt8]> = []
    /// The longest list of schemas for single elements.
    var prefixCount = 0

    mutating func add(_ facts: SchemaFacts) {
        lowers += facts.lowers
        uppers += facts.uppers
        if let divisor = facts.multipleOf { divisors.append(divisor) }
        minLength = max(minLength, facts.minLength ?? 0)
        maxLength = min(maxLength, facts.maxLength ?? .max)
        if let pattern = facts.pattern { patterns.insert(pattern) }
        if let format = facts.format { formats.insert(format) }
        minItems = max(minItems, facts.minItems ?? 0)
        maxItems = min(maxItems, facts.maxItems ?? .max)
        isUnique = isUnique || facts.isUnique
        if let contains = facts.contains { self.contains.append(contains) }
        minProperties = max(minProperties, facts.minProperties ?? 0)
        maxProperties = min(maxProperties, facts.maxProperties ?? .max)
        present.formUnion(facts.required)
        prefixCount = max(prefixCount, facts.prefix.count)
    }
}

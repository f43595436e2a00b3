/// Everything that is said about the members of an object, looked at in one pass.
final class ObjectRules: Sendable {
    /// What is said about one name.
    struct Slot: Sendable {
        /// The member's schema; -1 for none.
        var node: Int32 = -1
        /// Place in the set of required names; -1 for one that is not required.
        var required: Int32 = -1
    }

    let names: NameTable
    let hasNames: Bool
    /// What is said about each name.
    let slots: [Slot]
    let patterns: [(pattern: TextPattern, node: Int32)]
    let hasPatterns: Bool
    /// The schema of other members; -1 for none.
    let additional: Int32
    /// The schema of names; -1 for none.
    let nameNode: Int32
    let requiredCount: Int32

    convenience init(_ draft: ObjectRulesDraft) {
        self.init(
            NameTable(draft.names), draft.slots, draft.patterns, additional: draft.additional, nameNode: draft.nameNode,
            requiredCount: draft.requiredCount)
    }

    private init(
        _ names: NameTable, _ slots: [Slot], _ patterns: [(pattern: TextPattern, node: Int32)], additional: Int32,
        nameNode: Int32, requiredCount: Int32
    ) {
        (self.names, self.slots, self.patterns) = (names, slots, patterns)
        (hasNames, hasPatterns) = (!names.isEmpty, !patterns.isEmpty)
        (self.additional, self.nameNode, self.requiredCount) = (additional, nameNode, requiredCount)
    }
}

extension ObjectRules {
    /// The same with other nodes.
    convenience init(_ rules: ObjectRules, _ renamed: (Int32) -> Int32) {
        self.init(
            rules.names,
            rules.slots.map { Slot(node: $0.node < 0 ? -1 : renamed($0.node), required: $0.required) },
            rules.patterns.map { ($0.pattern, renamed($0.node)) },
            additional: rules.additional < 0 ? -1 : renamed(rules.additional),
            nameNode: rules.nameNode < 0 ? -1 : renamed(rules.nameNode), requiredCount: rules.requiredCount)
    }
}

/// ``ObjectRules`` while keywords are read.
struct ObjectRulesDraft {
    private(set) var names: [[UInt8]] = []
    private(set) var slots: [ObjectRules.Slot] = []
    var patterns: [(pattern: TextPattern, node: Int32)] = []
    var additional: Int32 = -1
    var nameNode: Int32 = -1
    private(set) var requiredCount: Int32 = 0
    private var places: [[UInt8]: Int] = [:]

    /// True when nothing was said.
    var isEmpty: Bool { names.isEmpty && patterns.isEmpty && additional < 0 && nameNode < 0 }

    /// Sets the schema of a member.
    mutating func set(_ name: String, node: Int32) { slots[place(of: name)].node = node }

    /// Asks for a member.
    mutating func require(_ name: String) {
        let place = place(of: name)
        if slots[place].required >= 0 { return }
        slots[place].required = requiredCount
        requiredCount += 1
    }

    private mutating func place(of name: String) -> Int {
        let bytes = Array(name.utf8)
        if let known = places[bytes] { return known }
        names.append(bytes)
        slots.append(ObjectRules.Slot())
        places[bytes] = names.count - 1
        return names.count - 1
    }
}

/// Which required members were seen in an object.
struct RequiredSet {
    private var first: UInt64 = 0
    /// Beyond the first 64.
    private var rest: [UInt64]
    private var seenCount: Int32 = 0
    private let count: Int32

    /// An empty set of `count` members that are asked for.
    init(count: Int32) {
        self.count = count
        rest = count <= 64 ? [] : [UInt64](repeating: 0, count: Int(count - 1) / 64)
    }

    /// Notes a member by its place; -1 for one that nobody asks for.
    mutating func insert(_ place: Int32) {
        if place < 0 || contains(place) { return }
        seenCount += 1
        let bit: UInt64 = 1 << UInt64(place & 63)
        if place < 64 { first |= bit } else { rest[Int(place) / 64 - 1] |= bit }
    }

    /// True for a member that was seen.
    func contains(_ place: Int32) -> Bool {
        let word = place < 64 ? first : rest[Int(place) / 64 - 1]
        return word & (1 << UInt64(place & 63)) != 0
    }

    var isComplete: Bool { seenCount == count }
}

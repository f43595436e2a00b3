package import ChangeModel

/// Compares the changes that a database committed with those that came out: the exact set, and their order.
///
/// Its rules are `missingChange`, `unexpectedChange`, `duplicatedChange` and `changeOutOfOrder`.
package struct ChangeLedger: Sendable {
    private let expected: [ChangeIdentity]
    private var seen: [ChangeIdentity] = []

    /// A ledger of what was committed, in the order of commit.
    package init(expected: [ChangeIdentity]) { self.expected = expected }

    /// Notes that a change came out.
    package mutating func saw(_ identity: ChangeIdentity) { seen.append(identity) }

    /// Notes that changes came out, in their order.
    package mutating func saw(_ identities: some Sequence<ChangeIdentity>) { seen.append(contentsOf: identities) }

    /// How many times a change came out that had come out before.
    package var repeats: Int { seen.count - Set(seen).count }

    /// Everything that is wrong, at most one violation for each rule.
    ///
    /// `allowingRepeats` is for at-least-once delivery: a repeated change is no violation then, and only first
    /// appearances have an order.
    package func violations(allowingRepeats: Bool = false) -> [ConformanceViolation] {
        let wanted = Set(expected)
        var counts: [ChangeIdentity: Int] = [:]
        var firsts: [ChangeIdentity] = []
        for identity in seen {
            if counts[identity, default: 0] == 0 { firsts.append(identity) }
            counts[identity, default: 0] += 1
        }
        var violations: [ConformanceViolation] = []
        func report(_ rule: String, _ identities: [ChangeIdentity]) {
            guard !identities.isEmpty else { return }
            let total = "\(identities.count) of \(expected.count) committed, \(seen.count) seen"
            violations.append(ConformanceViolation(rule, "\(total): \(Self.list(identities))"))
        }
        report("missingChange", expected.filter { counts[$0] == nil })
        report("unexpectedChange", firsts.filter { !wanted.contains($0) })
        if !allowingRepeats { report("duplicatedChange", firsts.filter { counts[$0, default: 0] > 1 }) }
        report("changeOutOfOrder", zip(firsts, firsts.dropFirst()).filter { $1 < $0 }.map(\.1))
        return violations
    }

    /// The first few identities as `commit/ordinal`.
    static func list(_ identities: some Collection<ChangeIdentity>) -> String {
        let shown = identities.prefix(5).map { "\($0.commit)/\($0.ordinal)" }.joined(separator: ", ")
        return identities.count > 5 ? shown + ", …" : shown
    }
}

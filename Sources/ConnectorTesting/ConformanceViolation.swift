/// A rule that something did not keep. Suites return these instead of asserting, so that a test of a suite can require
/// that a named rule is violated.
package struct ConformanceViolation: Error, Sendable, Hashable, CustomStringConvertible {
    /// The rule's name, such as ``SourceRule/resumesAfterCheckpoint``.
    package var rule: String
    /// What was seen and what was to be seen, in one sentence.
    package var explanation: String

    /// A violation of a rule.
    package init(_ rule: String, _ explanation: String) {
        self.rule = rule
        self.explanation = explanation
    }

    /// Rule and explanation.
    package var description: String { "\(rule): \(explanation)" }
}

extension Sequence<ConformanceViolation> {
    /// The names of the rules that are violated.
    package var rules: Set<String> { Set(map(\.rule)) }
}

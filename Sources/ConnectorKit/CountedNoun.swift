/// A count with its noun, for people: `1 row`, `2 rows`.
package func counted<Count: BinaryInteger>(_ count: Count, _ noun: String) -> String {
    "\(count) \(noun)\(count == 1 ? "" : "s")"
}

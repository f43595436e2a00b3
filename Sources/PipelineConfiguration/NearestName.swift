/// The candidate that a misspelt name most likely stands for; nil when none is near.
///
/// Capitals, hyphens and underscores count for nothing, so `onNewTable` finds `on_new_table`. Otherwise one edit in
/// three characters is near; exchanging two neighbours is one edit.
func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
    let wanted = folded(name)
    guard !wanted.isEmpty, wanted.count <= 60 else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in candidates.sorted() {
        let distance = editDistance(wanted, folded(candidate))
        guard distance <= max(1, wanted.count / 3) else { continue }
        if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
    }
    return best?.name
}

private func folded(_ name: String) -> [Character] { name.lowercased().filter { $0 != "_" && $0 != "-" } }

/// Optimal string alignment distance: insertions, deletions, replacements, and exchanges of two neighbours.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
            row.append(cost)
        }
        (beforeLast, last) = (last, row)
    }
    return last[b.count]
}

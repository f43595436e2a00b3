/// Counts the records of the transaction that is being written, as a whole and by table. A transaction is counted when
/// its begin was seen; nothing is said about the others.
final class TransactionCount {
    /// The commit of the open transaction; nil between transactions.
    private(set) var commit: UInt64?
    private(set) var total: UInt64 = 0
    private var counts: [UInt64] = []
    private(set) var touched: [Int] = []
    private var names: [String] = []
    private var numbers: [String: Int] = [:]

    /// The number that a table is counted under.
    func number(of name: String) -> Int {
        if let known = numbers[name] { return known }
        numbers[name] = names.count
        names.append(name)
        counts.append(0)
        return names.count - 1
    }

    func begin(_ commit: UInt64) {
        end()
        self.commit = commit
    }

    /// Counts a record of a table; returns how many of the table there are now.
    func count(_ number: Int) -> UInt64 {
        total += 1
        if counts[number] == 0 { touched.append(number) }
        counts[number] += 1
        return counts[number]
    }

    /// The tables that were counted, in the order of their first records.
    func forEach(_ body: (_ name: String, _ count: UInt64) -> Void) {
        for number in touched { body(names[number], counts[number]) }
    }

    func end() {
        for number in touched { counts[number] = 0 }
        touched.removeAll(keepingCapacity: true)
        (commit, total) = (nil, 0)
    }
}

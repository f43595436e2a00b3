internal import ByteKit

/// What transactions that a snapshot does not see did to a table without a key, up to the place where all its rows are
/// told.
///
/// Without a key a row is its content, and equal rows are as good as each other: a row that was taken away is left out
/// once when it is read, a row that came is told at the end.
final class WholeTableWindow {
    /// More than so many bytes of changes are not held: the table is tried again.
    static let bytesMax = 64 << 20

    let number: UInt64
    let table: UInt32
    let firstSequence: UInt64
    var announced: RelationMessage?
    /// True when the changes are too many, or one was not told with its whole old row.
    private(set) var isBroken = false

    private var contents = ByteTable()
    private var changes: [(transaction: UInt32, content: Int, isAdded: Bool)] = []
    /// For each content how many rows with it are to be left out; below zero, how many are to be added.
    private var missing: [Int] = []
    private var toLeaveOut = 0

    init(number: UInt64, table: UInt32, firstSequence: UInt64) {
        self.number = number
        self.table = table
        self.firstSequence = firstSequence
    }

    /// A row came or went.
    func changed(_ row: RawSpan, isAdded: Bool, by transaction: UInt32) {
        changes.append((transaction, contents.insert(row).number, isAdded))
        if contents.byteCount + changes.count * 24 > Self.bytesMax { isBroken = true }
    }

    /// What cannot be followed happened.
    func fail() { isBroken = true }

    /// From here on rows may be asked for.
    func settle(_ snapshot: ServerSnapshot) {
        missing = [Int](repeating: 0, count: contents.count)
        for change in changes where !snapshot.sees(change.transaction) {
            missing[change.content] += change.isAdded ? -1 : 1
        }
        changes = []
        toLeaveOut = missing.reduce(0) { $0 + max(0, $1) }
    }

    /// True when a row that was read is to be left out; it counts as left out then.
    func leavesOut(_ row: RawSpan) -> Bool {
        guard toLeaveOut > 0, let content = contents.find(row), missing[content] > 0 else { return false }
        missing[content] -= 1
        toLeaveOut -= 1
        return true
    }

    /// Gives each row that came, as often as it came.
    func forEachAdded(_ body: (RawSpan) -> Void) {
        for content in missing.indices where missing[content] < 0 {
            for _ in 0..<(-missing[content]) { body(contents.run(content)) }
        }
    }
}

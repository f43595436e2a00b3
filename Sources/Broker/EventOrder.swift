/// What the order of an event depends on. Keys and tables are told apart by hashes of 64 bits: where two are equal by
/// chance, an event waits that need not.
package struct OrderedEvent: Sendable, Equatable {
    /// Its offset in the log.
    package var offset: UInt64
    /// The hash of its table.
    package var table: UInt64
    /// The hash of its key, table included; nil for an event without one, such as a truncate.
    package var key: UInt64?
    /// The hash of the key before an update that changed it.
    package var previousKey: UInt64?

    /// An event of its parts.
    package init(offset: UInt64, table: UInt64, key: UInt64?, previousKey: UInt64? = nil) {
        self.offset = offset
        self.table = table
        self.key = key
        self.previousKey = previousKey
    }
}

/// Which events must wait for which, so that several consumers keep the order of each key: an event waits for the ones
/// before it with one of its keys. One without a key waits for all before it of its table, and all behind it wait for
/// it.
///
/// A pure value. What an event costs does not depend on how many there are.
struct EventOrder: Sendable {
    private struct Node {
        var event: OrderedEvent
        /// How many events it waits for.
        var waitCount = 0
        /// The events that wait for it.
        var followers: [UInt64] = []
    }

    private struct Table {
        /// The newest event without a key.
        var barrier: UInt64?
        /// The events behind it.
        var since: Set<UInt64> = []
    }

    private var nodes: [UInt64: Node] = [:]
    /// The newest event of each key.
    private var newest: [UInt64: UInt64] = [:]
    private var tables: [UInt64: Table] = [:]

    /// True for an event that waits for no other, and for one that is not in here.
    func isFree(_ offset: UInt64) -> Bool { (nodes[offset]?.waitCount ?? 0) == 0 }

    /// Puts in an event that comes behind all that are in here.
    mutating func add(_ event: OrderedEvent) {
        var node = Node(event: event)
        var table = tables[event.table] ?? Table()
        var earlier: Set<UInt64> = []
        if let key = event.key {
            for key in [key, event.previousKey].compactMap(\.self) {
                if let before = newest.updateValue(event.offset, forKey: key) { earlier.insert(before) }
            }
            earlier.remove(event.offset)
            if let barrier = table.barrier { earlier.insert(barrier) }
            table.since.insert(event.offset)
        } else {
            earlier = table.since
            if earlier.isEmpty, let barrier = table.barrier { earlier.insert(barrier) }
            table = Table(barrier: event.offset)
        }
        for offset in earlier where nodes[offset] != nil {
            nodes[offset]?.followers.append(event.offset)
            node.waitCount += 1
        }
        nodes[event.offset] = node
        tables[event.table] = table
    }

    /// Takes out an event, wherever it stands; returns those that wait for no other from now on.
    mutating func remove(_ offset: UInt64) -> [UInt64] {
        guard let node = nodes.removeValue(forKey: offset) else { return [] }
        for key in [node.event.key, node.event.previousKey].compactMap(\.self) where newest[key] == offset {
            newest[key] = nil
        }
        if var table = tables[node.event.table] {
            table.since.remove(offset)
            if table.barrier == offset { table.barrier = nil }
            tables[node.event.table] = table.barrier == nil && table.since.isEmpty ? nil : table
        }
        var freed: [UInt64] = []
        for follower in node.followers {
            guard var next = nodes[follower] else { continue }
            next.waitCount -= 1
            nodes[follower] = next
            if next.waitCount == 0 { freed.append(follower) }
        }
        return freed
    }
}

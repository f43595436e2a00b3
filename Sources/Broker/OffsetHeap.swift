/// Offsets by when they are due, the earliest first.
struct OffsetHeap: Sendable {
    /// An offset with its time; of those with the same time the smaller offset comes first.
    struct Item: Sendable, Equatable {
        var time: Int64
        var offset: UInt64

        fileprivate func comes(before other: Item) -> Bool { (time, offset) < (other.time, other.offset) }
    }

    private var items: [Item] = []

    init() {}

    /// A heap of these items.
    init(_ items: some Sequence<Item>) {
        // An ordered list is a heap.
        self.items = items.sorted { $0.comes(before: $1) }
    }

    /// The earliest.
    var first: Item? { items.first }
    /// How many items are in here.
    var count: Int { items.count }

    /// Puts in an item.
    mutating func insert(_ item: Item) {
        items.append(item)
        var place = items.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard items[place].comes(before: items[parent]) else { return }
            items.swapAt(place, parent)
            place = parent
        }
    }

    /// Takes out the earliest.
    mutating func removeFirst() -> Item? {
        guard let first = items.first, let last = items.popLast() else { return nil }
        if items.isEmpty { return first }
        items[0] = last
        var place = 0
        while true {
            var smallest = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < items.count && items[child].comes(before: items[smallest]) {
                smallest = child
            }
            if smallest == place { return first }
            items.swapAt(place, smallest)
            place = smallest
        }
    }
}

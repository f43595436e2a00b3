/// Elements in the order of their coming, each under a number that it keeps. Only the front is taken out.
struct NumberedQueue<Element> {
    private var elements: [Element] = []
    /// At least so many that are gone are kept before they are given back.
    private let slack: Int
    /// How many at the front of `elements` are gone.
    private var gone = 0
    /// The number of the first element.
    private(set) var start = 0

    /// An empty queue. What is gone is held until it is as much as what is there, and no less than `slack`: one, where
    /// elements hold much memory.
    init(slack: Int = 256) { self.slack = max(slack, 1) }

    /// The number behind the last element.
    var end: Int { start + elements.count - gone }
    var count: Int { elements.count - gone }
    var isEmpty: Bool { count == 0 }
    var first: Element? { isEmpty ? nil : elements[gone] }
    /// The numbers of all elements.
    var numbers: Range<Int> { start..<end }

    /// The element with a number out of ``numbers``.
    subscript(number: Int) -> Element {
        get { elements[number - start + gone] }
        set { elements[number - start + gone] = newValue }
    }

    mutating func append(_ element: Element) { elements.append(element) }

    /// Takes the front out. What is gone is given back to the memory now and then, so that this costs the same each
    /// time on average.
    mutating func removeFirst() {
        gone += 1
        start += 1
        if gone >= slack, gone * 2 >= elements.count {
            elements.removeFirst(gone)
            gone = 0
        }
    }
}

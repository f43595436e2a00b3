/// First in, first out, in one array.
struct Queue<Element> {
    private var elements: [Element] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { head == elements.count }
    var first: Element? { head < elements.count ? elements[head] : nil }

    /// The element at a place counted from the first one.
    subscript(place: Int) -> Element {
        get { elements[head + place] }
        set { elements[head + place] = newValue }
    }

    mutating func append(_ element: Element) { elements.append(element) }

    /// Takes the first element out. What is left behind is given back once it is half of the array.
    @discardableResult
    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: elements.capacity <= 4096)
            head = 0
        } else if head >= 64, head * 2 >= elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }
}

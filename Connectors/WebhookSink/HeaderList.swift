internal import ByteKit
internal import CLibCurl

/// The headers of one request, as the linked list that libcurl reads while it sends. The memory is used again for the
/// next request.
@safe final class HeaderList {
    private var text = OutputBuffer(capacity: 512)
    private var starts: [Int] = []
    private var bytes: UnsafeMutablePointer<CChar>
    private var byteCapacity = 0
    private var nodes: UnsafeMutablePointer<curl_slist>
    private var nodeCapacity = 0

    init() {
        unsafe bytes = UnsafeMutablePointer.allocate(capacity: 1)
        unsafe nodes = UnsafeMutablePointer.allocate(capacity: 1)
    }

    deinit {
        unsafe bytes.deallocate()
        unsafe nodes.deallocate()
    }

    /// Forgets all headers. Not while a request has the list.
    func removeAll() {
        text.removeAll()
        starts.removeAll(keepingCapacity: true)
    }

    /// Adds a header: `body` appends `name: value`.
    func add(_ body: (inout OutputBuffer) -> Void) {
        starts.append(text.count)
        body(&text)
        text.append(0)
    }

    /// The list, with `tail` behind it. It is valid until the next change of this object.
    func linked(before tail: UnsafeMutablePointer<curl_slist>?) -> UnsafeMutablePointer<curl_slist>? {
        if starts.isEmpty { return unsafe tail }
        makeRoom()
        for place in 0..<text.count { unsafe bytes[place] = CChar(bitPattern: text.bytes.byte(place)) }
        for (place, start) in starts.enumerated() {
            let next = unsafe place + 1 < starts.count ? nodes + place + 1 : tail
            unsafe nodes[place] = curl_slist(data: bytes + start, next: next)
        }
        return unsafe nodes
    }

    private func makeRoom() {
        if byteCapacity < text.count {
            unsafe bytes.deallocate()
            byteCapacity = text.count * 2
            unsafe bytes = UnsafeMutablePointer.allocate(capacity: byteCapacity)
        }
        if nodeCapacity < starts.count {
            unsafe nodes.deallocate()
            nodeCapacity = starts.count * 2
            unsafe nodes = UnsafeMutablePointer.allocate(capacity: nodeCapacity)
        }
    }
}

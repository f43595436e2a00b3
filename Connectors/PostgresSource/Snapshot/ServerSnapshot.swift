/// Which transactions a snapshot of the server sees (`pg_snapshot`).
struct ServerSnapshot: Equatable {
    /// Every transaction below was over.
    let xmin: UInt64
    /// Every transaction from here on was not.
    let xmax: UInt64
    /// Those between that were not over, ascending.
    let running: [UInt64]

    /// Reads the server's text form `xmin:xmax:xip,xip`; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let xmin = UInt64(parts[0]), let xmax = UInt64(parts[1]), xmin <= xmax else {
            return nil
        }
        var running: [UInt64] = []
        for part in parts[2].split(separator: ",") {
            guard let id = UInt64(part), id >= xmin, id < xmax else { return nil }
            running.append(id)
        }
        self.xmin = xmin
        self.xmax = xmax
        self.running = running.sorted()
    }

    /// True when a committed transaction is visible. The stream gives 32 bits of its number; what is missing follows
    /// from the snapshot, which is never two billion transactions away.
    func sees(_ transaction: UInt32) -> Bool {
        let full = number(of: transaction)
        if full >= xmax { return false }
        if full < xmin { return true }
        return !isRunning(full)
    }

    /// The whole number of a transaction, as near to ``xmax`` as its 32 bits allow.
    func number(of transaction: UInt32) -> UInt64 {
        let distance = Int32(bitPattern: transaction &- UInt32(truncatingIfNeeded: xmax))
        return UInt64(bitPattern: Int64(bitPattern: xmax) &+ Int64(distance))
    }

    private func isRunning(_ transaction: UInt64) -> Bool {
        var (low, high) = (0, running.count)
        while low < high {
            let middle = (low + high) / 2
            if running[middle] < transaction { low = middle + 1 } else { high = middle }
        }
        return low < running.count && running[low] == transaction
    }
}

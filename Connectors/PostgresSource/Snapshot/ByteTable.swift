internal import ByteKit

/// Runs of bytes that are found again by their content, each with a number from 0 in the order of arrival. Compared
/// byte by byte: a hash only says where to look. Nothing is allocated per run once the memory has its size.
struct ByteTable: ~Copyable {
    private var bytes = OutputBuffer(capacity: 256)
    private var entries: [(hash: UInt64, offset: Int, length: Int)] = []
    /// Numbers of entries plus one; 0 is a free place. The count is a power of two.
    private var slots: [UInt32] = []

    /// How many different runs there are.
    var count: Int { entries.count }
    /// Bytes of memory, roughly.
    var byteCount: Int { bytes.count + entries.count * 24 + slots.count * 4 }

    /// Adds a run; the number that it has, and whether it is new.
    mutating func insert(_ run: RawSpan) -> (number: Int, isNew: Bool) {
        if entries.count * 2 >= slots.count { grow() }
        let hash = Self.hash(run)
        var place = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[place] != 0 {
            let number = Int(slots[place]) - 1
            if isEqual(number, hash, run) { return (number, false) }
            place = (place + 1) & (slots.count - 1)
        }
        entries.append((hash, bytes.count, run.byteCount))
        bytes.append(run)
        slots[place] = UInt32(truncatingIfNeeded: entries.count)
        return (entries.count - 1, true)
    }

    /// The number of a run; nil when it was never added.
    func find(_ run: RawSpan) -> Int? {
        if slots.isEmpty { return nil }
        let hash = Self.hash(run)
        var place = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[place] != 0 {
            let number = Int(slots[place]) - 1
            if isEqual(number, hash, run) { return number }
            place = (place + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The bytes of a run.
    @_lifetime(borrow self)
    func run(_ number: Int) -> RawSpan {
        let entry = entries[number]
        return bytes.bytes.extracting(entry.offset..<entry.offset + entry.length)
    }

    private func isEqual(_ number: Int, _ hash: UInt64, _ run: RawSpan) -> Bool {
        let entry = entries[number]
        guard entry.hash == hash, entry.length == run.byteCount else { return false }
        return bytes.bytes.extracting(entry.offset..<entry.offset + entry.length).hasSameBytes(as: run)
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: max(64, slots.count * 2))
        for (index, entry) in entries.enumerated() {
            var place = Int(truncatingIfNeeded: entry.hash) & (slots.count - 1)
            while slots[place] != 0 { place = (place + 1) & (slots.count - 1) }
            slots[place] = UInt32(truncatingIfNeeded: index + 1)
        }
    }

    /// Eight bytes a step, mixed by multiplication and shifts.
    private static func hash(_ run: RawSpan) -> UInt64 {
        var hash = UInt64(truncatingIfNeeded: run.byteCount) &* 0x9E37_79B9_7F4A_7C15
        var position = 0
        while position &+ 8 <= run.byteCount {
            let word = unsafe run.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
            hash = mix(hash ^ word)
            position &+= 8
        }
        while position < run.byteCount {
            hash = mix(hash ^ UInt64(run.byte(position)))
            position &+= 1
        }
        return hash
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var value = value &* 0xBF58_476D_1CE4_E5B9
        value ^= value >> 29
        value = value &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 32
    }
}

internal import ByteKit

/// A set of different names that knows the place of each, asked with bytes that stand somewhere in a document.
struct NameTable: Sendable {
    /// The names one behind the other.
    private var bytes: [UInt8] = []
    /// Where each name ends.
    private var ends: [Int32] = []
    /// Open addressing: place of a name plus one; 0 for none. Its length is a power of two.
    private var slots: [Int32]
    /// Different in each table, so that nobody can choose names that fall together.
    private let seed = UInt64.random(in: .min ... .max)

    /// A table of different names; places are those of this list.
    init(_ names: [[UInt8]]) {
        var size = 8
        while size < names.count * 2 { size *= 2 }
        slots = [Int32](repeating: 0, count: size)
        for (index, name) in names.enumerated() {
            bytes += name
            ends.append(Int32(truncatingIfNeeded: bytes.count))
            var slot = firstSlot(name.rawBytes)
            while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
            slots[slot] = Int32(truncatingIfNeeded: index + 1)
        }
    }

    var isEmpty: Bool { ends.isEmpty }

    /// The place of a name, -1 for one that is not here.
    func place(of name: RawSpan) -> Int {
        var slot = firstSlot(name)
        while slots[slot] != 0 {
            let place = Int(slots[slot]) - 1
            let start = self.start(place)
            let end = Int(ends[place])
            if end - start == name.byteCount, bytes.rawBytes.extracting(start..<end).hasSameBytes(as: name) {
                return place
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return -1
    }

    /// The name at a place.
    func name(_ place: Int) -> String { String(decoding: bytes(place), as: UTF8.self) }

    /// The bytes of the name at a place.
    func bytes(_ place: Int) -> [UInt8] { Array(bytes[start(place)..<Int(ends[place])]) }

    private func start(_ place: Int) -> Int { place == 0 ? 0 : Int(ends[place - 1]) }

    /// Multiplies word by word and folds the product, over all bytes.
    private func firstSlot(_ name: RawSpan) -> Int {
        let count = name.byteCount
        var hash = seed ^ UInt64(truncatingIfNeeded: count)
        var position = 0
        while position &+ 8 <= count {
            hash = Self.mixed(hash, unsafe name.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self))
            position &+= 8
        }
        if position < count {
            var word: UInt64 = 0
            if count >= 8 {
                word = unsafe name.unsafeLoadUnaligned(fromUncheckedByteOffset: count &- 8, as: UInt64.self)
            } else {
                while position < count {
                    word = word << 8 | UInt64(name.byte(position))
                    position &+= 1
                }
            }
            hash = Self.mixed(hash, word)
        }
        return Int(truncatingIfNeeded: hash) & (slots.count - 1)
    }

    @inline(__always)
    private static func mixed(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let product = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}

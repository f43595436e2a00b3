internal import ByteKit

/// A set of different names that knows the place of each, asked with bytes that stand somewhere in a document.
final class NameTable: Sendable {
    /// The names one behind the other.
    private let bytes: [UInt8]
    /// Where each name ends, behind a zero.
    private let ends: [Int32]
    /// Open addressing: place of a name plus one; 0 for none. Its length is a power of two.
    private let slots: [Int32]
    /// Different in each table, so that nobody can choose names that fall together.
    private let seed = UInt64.random(in: .min ... .max)

    /// A table of different names; places are those of this list.
    init(_ names: [[UInt8]]) {
        var size = 8
        while size < names.count * 2 { size *= 2 }
        var slots = [Int32](repeating: 0, count: size)
        var (bytes, ends): ([UInt8], [Int32]) = ([], [0])
        for (index, name) in names.enumerated() {
            bytes += name
            ends.append(Int32(truncatingIfNeeded: bytes.count))
            var slot = Self.hash(name.rawBytes, seed) & (size - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
            slots[slot] = Int32(truncatingIfNeeded: index + 1)
        }
        (self.bytes, self.ends, self.slots) = (bytes, ends, slots)
    }

    var isEmpty: Bool { ends.count == 1 }

    /// The place of a name, -1 for one that is not here. It is looked for at `guess` first: members often come in the
    /// order of the names.
    func place(of name: RawSpan, guess: Int = -1) -> Int {
        if guess >= 0 && guess < ends.count - 1 && hasName(name, at: guess) { return guess }
        var slot = Self.hash(name, seed) & (slots.count - 1)
        while slots[slot] != 0 {
            let place = Int(slots[slot]) - 1
            if hasName(name, at: place) { return place }
            slot = (slot + 1) & (slots.count - 1)
        }
        return -1
    }

    @inline(__always)
    private func hasName(_ name: RawSpan, at place: Int) -> Bool {
        let (start, end) = (Int(ends[place]), Int(ends[place + 1]))
        let bytes = bytes
        return end - start == name.byteCount && bytes.rawBytes.extracting(start..<end).hasSameBytes(as: name)
    }

    /// The name at a place.
    func name(_ place: Int) -> String { String(decoding: bytes(place), as: UTF8.self) }

    /// The bytes of the name at a place.
    func bytes(_ place: Int) -> [UInt8] { Array(bytes[Int(ends[place])..<Int(ends[place + 1])]) }

    /// Multiplies word by word and folds the product, over all bytes.
    private static func hash(_ name: RawSpan, _ seed: UInt64) -> Int {
        let count = name.byteCount
        var hash = seed ^ UInt64(truncatingIfNeeded: count)
        var position = 0
        while position &+ 8 <= count {
            hash = mixed(hash, unsafe name.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self))
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
            hash = mixed(hash, word)
        }
        return Int(truncatingIfNeeded: hash)
    }

    @inline(__always)
    private static func mixed(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let product = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}

internal import ByteKit

/// Compares values of two tapes as JSON Schema does: numbers by value, members in any order.
struct TapeComparison {
    private let left: JSONTape
    private let right: JSONTape
    /// True when the right tape was made of a literal: then the work is bounded by the size of the left value.
    private let isLiteral: Bool

    init(_ left: JSONTape, _ right: JSONTape) { (self.left, self.right, isLiteral) = (left, right, false) }

    init(_ left: JSONTape, literal: JSONTape) { (self.left, right, isLiteral) = (left, literal, true) }

    /// An exponent in a literal has fewer characters.
    private static let exponentBytesMax = 20

    /// True for equal values.
    func isEqual(_ a: Int32, _ b: Int32) -> Bool {
        let (mine, theirs) = (left.nodes[Int(a)], right.nodes[Int(b)])
        guard mine.kind == theirs.kind else { return false }
        switch mine.kind {
        case .null: return true
        case .bool: return mine.flag == theirs.flag
        case .number:
            if isLiteral && theirs.byteCount > mine.byteCount + Self.exponentBytesMax { return false }
            return left.number(mine) == right.number(theirs)
        case .string: return areCharactersEqual(mine, theirs)
        case .array: return mine.count == theirs.count && areElementsEqual(a, b)
        case .object: return areMembersEqual(a, b)
        }
    }

    private func areCharactersEqual(_ mine: JSONTape.Node, _ theirs: JSONTape.Node) -> Bool {
        if theirs.flag { return left.equals(mine, right.characters(theirs).rawBytes) }
        return left.equals(mine, right.bytes.rawBytes.extracting(Int(theirs.start)..<Int(theirs.end)))
    }

    private func areElementsEqual(_ a: Int32, _ b: Int32) -> Bool {
        var (mine, theirs) = (a + 1, b + 1)
        while mine < left.nodes[Int(a)].next {
            guard isEqual(mine, theirs) else { return false }
            mine = left.nodes[Int(mine)].next
            theirs = right.nodes[Int(theirs)].next
        }
        return true
    }

    /// Of members with equal names the last one counts.
    private func areMembersEqual(_ a: Int32, _ b: Int32) -> Bool {
        if isLiteral && right.nodes[Int(b)].count > left.nodes[Int(a)].count { return false }
        let (mine, theirs) = (Self.members(left, a), Self.members(right, b))
        return mine.count == theirs.count
            && mine.allSatisfy { name, value in theirs[name].map { isEqual(value, $0) } ?? false }
    }

    private static func members(_ tape: JSONTape, _ value: Int32) -> [[UInt8]: Int32] {
        var members: [[UInt8]: Int32] = [:]
        let node = tape.nodes[Int(value)]
        members.reserveCapacity(Int(node.count))
        var place = value + 1
        while place < node.next {
            members[tape.characters(tape.nodes[Int(place)])] = place + 1
            place = tape.nodes[Int(place + 1)].next
        }
        return members
    }

    /// True when no two elements of the array at `value` of the left tape are equal.
    func areElementsUnique(_ value: Int32) -> Bool {
        var seen: [Int: [Int32]] = [:]
        var place = value + 1
        while place < left.nodes[Int(value)].next {
            var hasher = Hasher()
            hash(place, into: &hasher)
            let digest = hasher.finalize()
            if let others = seen[digest], others.contains(where: { isEqual($0, place) }) { return false }
            seen[digest, default: []].append(place)
            place = left.nodes[Int(place)].next
        }
        return true
    }

    /// Equal values have equal hashes: members are added up in no order.
    private func hash(_ value: Int32, into hasher: inout Hasher) {
        let node = left.nodes[Int(value)]
        hasher.combine(node.kind.rawValue)
        switch node.kind {
        case .null: break
        case .bool: hasher.combine(node.flag)
        case .number: hasher.combine(left.number(node))
        case .string: hasher.combine(left.characters(node))
        case .array:
            // Without the count, [[], []] and [[[]]] would look alike.
            hasher.combine(node.count)
            var place = value + 1
            while place < node.next {
                hash(place, into: &hasher)
                place = left.nodes[Int(place)].next
            }
        case .object:
            var sum = 0
            let members = Self.members(left, value)
            for (name, place) in members {
                var member = Hasher()
                member.combine(name)
                hash(place, into: &member)
                sum &+= member.finalize()
            }
            hasher.combine(members.count)
            hasher.combine(sum)
        }
    }
}

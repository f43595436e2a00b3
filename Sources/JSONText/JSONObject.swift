/// The members of a JSON object in their order. Names may come more than once.
package struct JSONObject: Sendable, Hashable {
    /// A name and its value.
    package struct Member: Sendable, Hashable {
        /// The name.
        package var name: String
        /// The value.
        package var value: JSONValue

        /// A member of its parts.
        package init(name: String, value: JSONValue) {
            self.name = name
            self.value = value
        }

        /// Equal in value and in the code points of the name.
        package static func == (a: Member, b: Member) -> Bool {
            a.name.utf8.elementsEqual(b.name.utf8) && a.value == b.value
        }

        /// Hashes the name by code points, and the value.
        package func hash(into hasher: inout Hasher) {
            hasher.combine(bytesOf: name)
            hasher.combine(value)
        }
    }

    /// The members.
    package var members: [Member]

    /// An object of members.
    package init(_ members: [Member] = []) { self.members = members }

    /// The names in their order.
    package var names: [String] { members.map(\.name) }

    /// The last member under `name`. Setting replaces it where it stands or appends a new one; nil removes all of that
    /// name.
    package subscript(name: String) -> JSONValue? {
        get { members.last { $0.name.utf8.elementsEqual(name.utf8) }?.value }
        set {
            let place = members.lastIndex { $0.name.utf8.elementsEqual(name.utf8) }
            switch (place, newValue) {
            case (let place?, let value?): members[place].value = value
            case (nil, let value?): members.append(Member(name: name, value: value))
            case (_, nil): members.removeAll { $0.name.utf8.elementsEqual(name.utf8) }
            }
        }
    }

    /// Names that come more than once, each once, in the order of their second appearance.
    package var repeatedNames: [String] {
        var counts: [[UInt8]: Int] = [:]
        return members.compactMap { member in
            counts[Array(member.name.utf8), default: 0] += 1
            return counts[Array(member.name.utf8)] == 2 ? member.name : nil
        }
    }

    /// See ``JSONValue/isEquivalent(to:)``.
    func isEquivalent(to other: JSONObject) -> Bool {
        guard members.count == other.members.count else { return false }
        // A stable sort by name keeps the order of members with equal names.
        return zip(sortedByName, other.sortedByName).allSatisfy { mine, theirs in
            mine.name.utf8.elementsEqual(theirs.name.utf8) && mine.value.isEquivalent(to: theirs.value)
        }
    }

    /// The members by the bytes of their names; equal names stay in their order.
    var sortedByName: [Member] {
        members.enumerated().sorted { a, b in
            if a.element.name.utf8.elementsEqual(b.element.name.utf8) { return a.offset < b.offset }
            return a.element.name.utf8.lexicographicallyPrecedes(b.element.name.utf8)
        }.map(\.element)
    }
}

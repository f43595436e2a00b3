/// Makes the tables of a ``PatternAutomaton``: first the places of an expression, then the sets of places that it can
/// be in at once.
struct AutomatonBuilder {
    private enum Place {
        case set(SymbolSet, next: Int)
        case fork(Int, Int)
        case start(next: Int), end(next: Int)
        case match
    }

    private(set) var next: [UInt32] = []
    private(set) var acceptsAtEnd: [Bool] = []
    private(set) var first: UInt32 = 0
    /// One for each symbol.
    private(set) var classOfSymbol = [UInt8](repeating: 0, count: SymbolSet.symbolCount)
    /// With the class of bytes that change nothing, which is the last.
    private(set) var classCount = 0

    private var places: [Place] = [.match]
    private var entry = 0
    private var stateOfPlaces: [[UInt16]: UInt32] = [:]
    private var states: [[UInt16]] = []
    /// Steps that were taken.
    private(set) var workDone = 0
    private let workMax: Int

    private static let placesMax = 2_000
    private static let statesMax = 1_000
    private static let match = 0

    /// Takes so much work at most. Nil when the expression has too many places.
    init?(_ tree: PatternTree, work: Int) {
        workMax = work
        guard let entry = add(tree, before: Self.match) else { return nil }
        self.entry = entry
    }

    /// Fills the tables; false when they become too large.
    mutating func build() -> Bool {
        findClasses()
        let beginning = closure([entry], isAtStart: true)
        // Anything may stand before, so a search begins anew at each character.
        let anew = closure([entry], isAtStart: false)
        guard let start = state(beginning) else { return false }
        // The assertion of the beginning holds in the first state alone, which nothing leads back to.
        stateOfPlaces = [:]
        first = start
        if start < PatternAutomaton.dead { acceptsAtEnd[Int(start)] = accepts(beginning, isAtStart: true) }
        var done = 0
        while done < states.count {
            guard fill(done, anew) else { return false }
            done += 1
        }
        return true
    }

    // MARK: Places

    private mutating func add(_ place: Place) -> Int? {
        guard places.count < Self.placesMax else { return nil }
        places.append(place)
        return places.count - 1
    }

    /// Adds a part that goes on at `next`; its first place, or nil when there are too many.
    private mutating func add(_ tree: PatternTree, before next: Int) -> Int? {
        switch tree {
        case .set(let set): return add(.set(set, next: next))
        case .start: return add(.start(next: next))
        case .end: return add(.end(next: next))
        case .sequence(let parts):
            var place = next
            for part in parts.reversed() {
                guard let before = add(part, before: place) else { return nil }
                place = before
            }
            return place
        case .choice(let branches):
            var place: Int?
            for branch in branches.reversed() {
                guard let entry = add(branch, before: next) else { return nil }
                if let other = place {
                    guard let fork = add(.fork(entry, other)) else { return nil }
                    place = fork
                } else {
                    place = entry
                }
            }
            return place
        case .repeated(let part, let least, let most): return add(part, least, most, before: next)
        }
    }

    private mutating func add(_ part: PatternTree, _ least: Int, _ most: Int?, before next: Int) -> Int? {
        var place = next
        if let most {
            for _ in least..<most {
                guard let entry = add(part, before: place), let fork = add(.fork(entry, next)) else { return nil }
                place = fork
            }
        } else {
            guard let fork = add(.fork(0, next)), let entry = add(part, before: fork) else { return nil }
            places[fork] = .fork(entry, next)
            place = fork
        }
        for _ in 0..<least {
            guard let entry = add(part, before: place) else { return nil }
            place = entry
        }
        return place
    }

    // MARK: States

    /// Symbols that no set tells apart are one class.
    private mutating func findClasses() {
        var classes = [Int](repeating: 0, count: SymbolSet.symbolCount)
        var count = 1
        var seen: Set<SymbolSet> = []
        for place in places {
            guard case .set(let set, _) = place, seen.insert(set).inserted else { continue }
            var renamed: [Int: Int] = [:]
            for symbol in classes.indices {
                let key = classes[symbol] * 2 + (set.contains(symbol) ? 1 : 0)
                let name = renamed[key] ?? renamed.count
                renamed[key] = name
                classes[symbol] = name
            }
            count = renamed.count
        }
        classOfSymbol = classes.map { UInt8($0) }
        classCount = count + 1
    }

    /// The places that need a character, the end or nothing more, among all that can be reached without one.
    private mutating func closure(_ seeds: [Int], isAtStart: Bool, isAtEnd: Bool = false) -> [UInt16] {
        var (open, seen, found): ([Int], Set<Int>, [UInt16]) = (seeds, [], [])
        while let place = open.popLast() {
            workDone += 1
            guard seen.insert(place).inserted else { continue }
            switch places[place] {
            case .set, .match: found.append(UInt16(place))
            case .fork(let one, let other): open += [one, other]
            case .start(let next): if isAtStart { open.append(next) }
            case .end(let next):
                found.append(UInt16(place))
                if isAtEnd { open.append(next) }
            }
        }
        return found.sorted()
    }

    private mutating func accepts(_ set: [UInt16], isAtStart: Bool) -> Bool {
        closure(set.map { Int($0) }, isAtStart: isAtStart, isAtEnd: true).contains(UInt16(Self.match))
    }

    /// The number of a set of places; nil when there are too many.
    private mutating func state(_ set: [UInt16]) -> UInt32? {
        if set.contains(UInt16(Self.match)) { return PatternAutomaton.found }
        if set.isEmpty { return PatternAutomaton.dead }
        if let known = stateOfPlaces[set] { return known }
        guard states.count < Self.statesMax, workDone < workMax else { return nil }
        let number = UInt32(states.count)
        stateOfPlaces[set] = number
        states.append(set)
        acceptsAtEnd.append(accepts(set, isAtStart: false))
        return number
    }

    /// Finds where a state leads with each class of symbols.
    private mutating func fill(_ number: Int, _ anew: [UInt16]) -> Bool {
        var symbolOfClass = [Int](repeating: 0, count: classCount - 1)
        for symbol in classOfSymbol.indices { symbolOfClass[Int(classOfSymbol[symbol])] = symbol }
        for symbol in symbolOfClass {
            var seeds: [Int] = []
            for place in states[number] {
                if case .set(let set, let next) = places[Int(place)], set.contains(symbol) { seeds.append(next) }
            }
            workDone += 1 + states[number].count + anew.count
            let reached = closure(seeds, isAtStart: false)
            let merged = anew.isEmpty ? reached : Array(Set(reached).union(anew)).sorted()
            guard let target = state(merged) else { return false }
            next.append(target)
        }
        next.append(UInt32(number))
        return true
    }
}

/// A limit with exceptions that may only shrink: each has the number that it has today.
struct Ratchet {
    /// The highest number that needs no exception.
    var limit: Int
    /// Exceptions by name.
    var allowed: [String: Int]
    /// What to do about a number that is too high.
    var remedy: String

    /// Something that was counted.
    struct Count: Equatable {
        var path: String
        var line = 1
        /// What an exception is listed under.
        var name: String
        var number: Int
    }

    /// What is too much, and the exceptions that are not needed any longer.
    func violations(_ counts: [Count]) -> [Violation] {
        var violations: [Violation] = []
        var needed: Set<String> = []
        for count in counts where count.number > limit {
            guard let number = allowed[count.name] else {
                let what = "\(count.name) has \(count.number), at most \(limit)"
                violations.append(Violation(path: count.path, line: count.line, remedy: "\(what): \(remedy)"))
                continue
            }
            needed.insert(count.name)
            if count.number > number {
                let what = "\(count.name) grew from \(number) to \(count.number)"
                violations.append(Violation(path: count.path, line: count.line, remedy: "\(what): \(remedy)"))
            } else if count.number < number {
                let what = "\(count.name) shrank from \(number) to \(count.number): lower the number in the ratchet"
                violations.append(Violation(path: count.path, line: count.line, remedy: what))
            }
        }
        for name in allowed.keys.sorted() where !needed.contains(name) {
            violations.append(Violation(path: name, line: 1, remedy: "needs no exception any longer: take it out"))
        }
        return violations
    }
}

/// Puts variables of the environment into values: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar sign.
///
/// As in a shell, the default also stands for an empty variable. What a variable holds is not looked through again.
struct VariableExpansion {
    /// Why a value could not be expanded. No case holds the value of a variable.
    enum Failure: Equatable {
        case unset(name: String)
        case unclosed
        case badName
        case bareName
        case nested
        case tooLong
    }
    /// A value with its variables.
    struct Expanded {
        var text = ""
        var failures: [Failure] = []
        /// True when a part of the text came from the environment or a default.
        var hasVariables = false
    }

    /// An expanded value is no longer than this.
    static let bytesMax = 1 << 20
    /// The variables.
    let lookup: (String) -> String?

    func expand(_ text: String) -> Expanded {
        var result = Expanded()
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            result.text += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            switch rest.first {
            case "$":
                result.text += "$"
                rest = rest.dropFirst()
            case "{":
                result.hasVariables = true
                rest = substitute(rest.dropFirst(), &result)
            case .some(let next) where isNameStart(next):
                result.failures.append(.bareName)
            default:
                result.text += "$"
            }
            if result.text.utf8.count > Self.bytesMax { break }
        }
        result.text += rest
        if result.text.utf8.count > Self.bytesMax { result.failures.append(.tooLong) }
        return result
    }

    /// Expands what follows `${`, and returns what follows its `}`.
    private func substitute(_ text: Substring, _ result: inout Expanded) -> Substring {
        guard let end = text.firstIndex(of: "}") else {
            result.failures.append(.unclosed)
            return ""
        }
        let inner = text[..<end]
        let rest = text[text.index(after: end)...]
        let name = inner.prefix { isNameStart($0) || ("0"..."9").contains($0) }
        let tail = inner[name.endIndex...]
        let value = lookup(String(name))
        if !(name.first.map(isNameStart) ?? false) || !(tail.isEmpty || tail.hasPrefix(":-")) {
            result.failures.append(.badName)
        } else if tail.contains("${") {
            result.failures.append(.nested)
        } else if let value, tail.isEmpty || !value.isEmpty {
            result.text += value
        } else if tail.isEmpty {
            result.failures.append(.unset(name: String(name)))
        } else {
            result.text += tail.dropFirst(2)
        }
        return rest
    }

    private func isNameStart(_ character: Character) -> Bool {
        ("a"..."z").contains(character) || ("A"..."Z").contains(character) || character == "_"
    }
}

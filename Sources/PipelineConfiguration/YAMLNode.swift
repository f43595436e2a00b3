import Yams

/// A node of the composed file, looked at one level at a time: aliases share their nodes, so walking down to every leaf
/// could take for ever, and nobody does.
struct YAMLNode {
    /// What a node is.
    enum Content {
        /// Nothing was written, or `null` or `~`.
        case nothing
        /// A scalar, in the file's own words: `no`, `1.10` and `007` stay what they are.
        case text(String)
        case mapping([(key: YAMLNode, value: YAMLNode)])
        case sequence([YAMLNode])
    }

    private let node: Node

    init(_ node: Node) { self.node = node }

    /// The place of its first character. An alias has the place of its anchor.
    var position: FilePosition {
        node.mark.map { FilePosition(line: $0.line, column: $0.column) } ?? FilePosition(line: 1, column: 1)
    }

    var content: Content {
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain && !scalar.tag.description.hasSuffix(":str")
            return isPlain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
                ? .nothing : .text(scalar.string)
        case .mapping(let mapping):
            return .mapping(mapping.map { (YAMLNode($0.key), YAMLNode($0.value)) })
        case .sequence(let sequence):
            return .sequence(sequence.map { YAMLNode($0) })
        case .alias:
            return .nothing
        }
    }

    /// The tag, when the file gives one that has a meaning of its own, such as `!include` or `!!binary`.
    var foreignTag: String? {
        let tag =
            switch node {
            case .scalar(let scalar): scalar.tag.description
            case .mapping(let mapping): mapping.tag.description
            case .sequence(let sequence): sequence.tag.description
            case .alias: ""
            }
        if tag.isEmpty || tag == "!" { return nil }
        let core = ["str", "int", "float", "bool", "null", "map", "seq"].map { "tag:yaml.org,2002:\($0)" }
        return core.contains(tag) ? nil : tag
    }

    /// What the node is, for messages.
    var description: String {
        switch content {
        case .nothing: "nothing"
        case .text: "a single value"
        case .mapping: "a mapping"
        case .sequence: "a list"
        }
    }
}

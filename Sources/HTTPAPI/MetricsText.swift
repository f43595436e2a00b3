/// Figures in the text form that Prometheus reads
/// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
package struct MetricsText: Sendable {
    /// What a figure is.
    package enum Kind: String, Sendable {
        /// It only grows while the process lives.
        case counter
        /// It goes up and down.
        case gauge
    }

    /// The text so far.
    package private(set) var text = ""

    /// No figures yet.
    package init() {}

    /// Adds the values of one figure, each with its labels; nothing without values. Names are `millrace_…`, with the
    /// unit last, and `_total` behind that for counters.
    package mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ values: [(labels: [(String, String)], value: String)]
    ) {
        if values.isEmpty { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, value) in values {
            let list = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
            text += list.isEmpty ? "\(name) \(value)\n" : "\(name){\(list)} \(value)\n"
        }
    }

    /// Adds one value without labels; nothing for nil.
    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: (some BinaryInteger)?) {
        add(name, kind, help, value.map { [([], String($0))] } ?? [])
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}

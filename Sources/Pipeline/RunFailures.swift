import ConnectorKit

/// What a run ends with: why capture stopped, or else the first sink that stopped and was not begun again since.
struct RunFailures {
    /// Why capture stopped.
    var capture: ConnectorFailure?
    private var sinks: [(name: String, failure: ConnectorFailure)] = []

    /// What the run ends with; nil for a good end.
    var first: ConnectorFailure? { capture ?? sinks.first?.failure }

    /// A sink stopped.
    mutating func add(_ failure: ConnectorFailure, of sink: String) { sinks.append((sink, failure)) }

    /// A sink begins again.
    mutating func forget(_ sink: String) { sinks.removeAll { $0.name == sink } }

    /// Others than these are no sinks any more.
    mutating func forget(besides names: [String]) { sinks.removeAll { !names.contains($0.name) } }
}

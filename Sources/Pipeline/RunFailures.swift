import ConnectorKit

/// What a run ends with: why capture stopped, or else the first sink that stopped and was not begun again since.
struct RunFailures {
    /// Why capture stopped.
    var capture: ConnectorFailure?
    private var sinks: [(name: String, failure: ConnectorFailure)] = []

    /// True when a sink stopped and was not begun again.
    var hasSinks: Bool { !sinks.isEmpty }

    /// What the run ends with; nil for a good end. That a sink had stopped before somebody asked for the end was said
    /// when it did.
    func outcome(wasAsked: Bool) -> ConnectorFailure? { capture ?? (wasAsked ? nil : sinks.first?.failure) }

    /// A sink stopped. When the run ends because of that, it is what the run ends with.
    mutating func add(_ failure: ConnectorFailure, of sink: String, endsRun: Bool) {
        sinks.insert((sink, failure), at: endsRun ? 0 : sinks.count)
    }

    /// A sink begins again.
    mutating func forget(_ sink: String) { sinks.removeAll { $0.name == sink } }

    /// Others than these are no sinks any more.
    mutating func forget(besides names: [String]) { sinks.removeAll { !names.contains($0.name) } }
}

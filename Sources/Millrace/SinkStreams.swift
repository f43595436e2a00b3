import ConnectorKit
import NATSSink
import PipelineConfiguration

/// Sinks that publish to one NATS stream. The ids of events are the same in every sink, so that the server takes the
/// second message of an event for a duplicate, and stores the first one alone.
enum SinkStreams {
    /// Throws when an earlier sink publishes events of the same tables to the stream of this one.
    static func check(_ sink: Project.SinkEntry, behind earlier: [Project.SinkEntry]) throws(SettingProblem) {
        guard let other = earlier.first(where: { shareStream($0, sink) && $0.sharesTables(with: sink) }) else { return }
        throw SettingProblem(
            "stream",
            "the sink \(other.configuration.name) publishes events of the same tables to this stream: the second "
                + "message of an event is taken for a duplicate",
            hint: "give each sink a stream of its own, or tables that no other has")
    }

    /// What is slower than it need be: sinks that do not know of each other in one stream.
    static func findings(_ sinks: [Project.SinkEntry]) -> [Finding] {
        sinks.indices.compactMap { place in
            guard case .nats(let settings) = sinks[place].settings,
                let other = sinks[..<place].first(where: { shareStream($0, sinks[place]) }),
                case .nats(let otherSettings) = other.settings, !(settings.isShared && otherSettings.isShared)
            else { return nil }
            return Finding(
                .warning, "nats.shared_stream",
                "the sinks \(other.configuration.name) and \(sinks[place].configuration.name) publish to the stream "
                    + "\(settings.stream), and shared: false excludes that",
                fix: "write shared: true in both, or give each a stream of its own")
        }
    }

    private static func shareStream(_ first: Project.SinkEntry, _ second: Project.SinkEntry) -> Bool {
        guard case .nats(let one) = first.settings, case .nats(let other) = second.settings else { return false }
        return one.hasStream(of: other)
    }
}

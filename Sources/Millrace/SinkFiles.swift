import ConnectorKit
import FileSink
import PipelineConfiguration

/// Sinks that write to the same files. Each would take the lines of the other for what a crash left of its own.
enum SinkFiles {
    /// Throws when an earlier sink writes to files of this one. Only what the templates tell is known here; sinks that
    /// meet in a file all the same are kept apart when it is opened.
    static func check(_ sink: Project.SinkEntry, behind earlier: [Project.SinkEntry]) throws(SettingProblem) {
        guard let other = earlier.first(where: { shareFiles($0, sink) }) else { return }
        throw SettingProblem(
            "path", "the sink \(other.configuration.name) writes to the same files",
            hint: "give each sink a path of its own, such as out/\(sink.configuration.name)/{table}.jsonl")
    }

    private static func shareFiles(_ first: Project.SinkEntry, _ second: Project.SinkEntry) -> Bool {
        guard case .file(let one) = first.settings, case .file(let other) = second.settings,
            one.hasPath(of: other)
        else { return false }
        return !one.hasFilePerTable || first.sharesTables(with: second)
    }
}

import ConnectorKit
import FileSink
import PipelineConfiguration

/// Sinks that write to the same files. Each would take the lines of the other for what a crash left of its own.
struct SinkFiles {
    /// The file sinks so far, by where they write to.
    private var sinks: [String: [Project.SinkEntry]] = [:]

    /// Takes note of a sink. Throws when an earlier one writes to files of this one. Only what the templates and the
    /// file system tell now is known here; sinks that meet in a file all the same are kept apart when it is opened.
    mutating func add(_ sink: Project.SinkEntry) throws(SettingProblem) {
        guard case .file(let settings) = sink.settings, let path = settings.resolvedPath else { return }
        let other = sinks[path]?.first { !settings.hasFilePerTable || $0.sharesTables(with: sink) }
        sinks[path, default: []].append(sink)
        guard let other else { return }
        throw SettingProblem(
            "path", "the sink \(other.configuration.name) writes to the same files",
            hint: "give each sink a path of its own, such as out/\(sink.configuration.name)/{table}.jsonl")
    }
}

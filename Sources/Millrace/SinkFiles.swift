import ConnectorKit
import EventLog
import FileSink
import PipelineConfiguration

/// What file sinks must not write to: the files of other sinks, each of which would take the lines of the other for
/// what a crash left of its own, and what Millrace itself reads and keeps.
struct SinkFiles {
    /// The file sinks so far, by where they write to.
    private var sinks: [String: [Project.SinkEntry]] = [:]
    /// Files of the pipeline, with what they are.
    private let files: [(path: String, what: String)]
    /// Folders of the pipeline, with what they are.
    private let folders: [(path: String, what: String)]
    /// The same as sinks need it, for names that placeholders get.
    let reserved: ReservedPaths

    /// No sinks yet, of this pipeline.
    init(_ configuration: PipelineConfiguration) {
        var files = [(configuration.locations.file, "the configuration")]
        files += configuration.locations.secretFiles.map { ($0, "a secret of the configuration") }
        if configuration.sourceKind == "sqlite", let path = configuration.source.text("path"), !path.isEmpty {
            let database = configuration.resolve(path)
            // SQLite has these beside the file that a link leads to.
            for name in [database, FileSettings.resolved(database)] {
                files += ["", "-wal", "-shm", "-journal"].map { (name + $0, "the source's database") }
            }
        }
        let log = configuration.resolve(configuration.log.directory)
        self.files = files + EventLog.files(in: log).map { ($0, "the event log") }
        let schemas = configuration.resolve(configuration.schemas.directory)
        var folders = [(RequestBox.directory(in: log), "the event log")]
        // In the folder of the configuration may be anything beside them.
        if !FileSettings.isBelow(configuration.locations.file, folder: schemas) {
            folders.append((schemas, "the schemas"))
        }
        self.folders = folders
        reserved = ReservedPaths(
            files: self.files, folders: folders, fronts: [(EventLog.bodyFilesFront(in: log), "the event log")])
    }

    /// Takes note of a sink. Throws when an earlier one writes to files of this one. Only what the templates and the
    /// file system tell now is known here; sinks that meet in a file all the same are kept apart when it is opened.
    mutating func add(_ sink: Project.SinkEntry) throws(SettingProblem) {
        guard case .file(let settings) = sink.settings, let path = settings.resolvedPath else { return }
        try check(settings, of: sink.configuration.name)
        let other = sinks[path]?.first { !settings.hasFilePerTable || $0.sharesTables(with: sink) }
        sinks[path, default: []].append(sink)
        guard let other else { return }
        throw SettingProblem(
            "path", "the sink \(other.configuration.name) writes to the same files",
            hint: "give each sink a path of its own, such as out/\(sink.configuration.name)/{table}.jsonl")
    }

    private func check(_ settings: FileSettings, of sink: String) throws(SettingProblem) {
        let hint = "write to a file that nothing else uses, such as out/\(sink)/{table}.jsonl"
        if let file = files.first(where: { settings.writes(to: $0.path) }) {
            throw SettingProblem("path", "the file is that of \(file.what): events would destroy it", hint: hint)
        }
        if let folder = folders.first(where: { settings.writesBelow($0.path) }) {
            throw SettingProblem(
                "path", "the folder is that of \(folder.what), which nothing else belongs in", hint: hint)
        }
    }
}

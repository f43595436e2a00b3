import ConnectorKit
import Logging
import Pipeline
import PipelineConfiguration
private import Synchronization

/// Reads the configuration again while a pipeline runs, and has other sinks deliver: what SIGHUP asks for.
///
/// A file with problems changes nothing. Neither does what is not about sinks: that needs a new start, and is said.
final class SinkReload: Sendable {
    private let path: String
    private let pipeline: Pipeline
    private let logger: Logger
    private let current: Mutex<Project>

    /// Reloads of a run that began with a project.
    init(_ path: String, _ project: Project, _ pipeline: Pipeline, _ logger: Logger) {
        (self.path, self.pipeline, self.logger) = (path, pipeline, logger)
        current = Mutex(project)
    }

    /// Reads the file and does what it says.
    func run() {
        let project: Project
        do throws(ConfigurationProblems) {
            project = try Project.load(path)
        } catch {
            for problem in error.problems {
                let place = problem.position.map { "\(problem.file):\($0.line):\($0.column)" } ?? problem.file
                var metadata: Logger.Metadata = [
                    "code": "\(problem.code)",
                    "at": "\([problem.path, place].compactMap(\.self).joined(separator: ", "))",
                ]
                if let hint = problem.hint { metadata["hint"] = "\(hint)" }
                logger.error("the configuration was not reloaded: \(problem.message)", metadata: metadata)
            }
            return
        }
        let former = current.withLock { current in
            defer { current = project }
            return current
        }
        if !project.configuration.differsInSinksOnly(from: former.configuration) {
            logger.warning("more than sinks changed in the configuration: the rest takes a new start of millrace run")
        }
        let known = Dictionary(
            former.configuration.sinks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let changed = project.configuration.sinks.filter { sink in known[sink.name].map { $0 != sink } ?? false }
        pipeline.reload(project.makeSinks(), changed: Set(changed.map(\.name)))
        let names = project.configuration.sinks.map(\.name)
        func list(_ names: [String]) -> Logger.MetadataValue {
            "\(names.isEmpty ? "none" : names.joined(separator: ", "))"
        }
        logger.notice(
            "configuration reloaded",
            metadata: [
                "begin": list(names.filter { known[$0] == nil }), "changed": list(changed.map(\.name)),
                "end": list(known.keys.filter { !names.contains($0) }.sorted()),
            ])
    }
}

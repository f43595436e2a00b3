import ConnectorKit
import EventFormat
import FileSink
import NATSSink
import PipelineConfiguration

/// The settings of a sink, checked by its connector.
enum SinkSettings {
    case file(FileSettings)
    case nats(NATSSettings)

    /// Settings from the values of the file. Relative paths are taken from the configuration's folder.
    init(_ sink: SinkConfiguration, _ configuration: PipelineConfiguration) throws(SettingProblem) {
        var values = sink.settings
        switch sink.kind {
        case "nats":
            for path in NATSSettings.pathSettings { values.resolve(path[...], configuration) }
            let settings = try NATSSettings(values: values, pipelineName: configuration.name)
            if settings.isBinary, sink.format != .cloudevents {
                throw SettingProblem(
                    "mode", "binary is a spelling of CloudEvents, and the sink's format is \(sink.format.rawValue)",
                    hint: "write format: cloudevents, or mode: structured")
            }
            self = .nats(settings)
        default:
            values.resolve(["path"], configuration)
            self = .file(try FileSettings(values: values, pipelineName: configuration.name))
        }
    }

    /// A sink object, not open.
    func makeSink(_ format: EventFormat) -> any EventSink {
        switch self {
        case .file(let settings): FileSink(settings)
        case .nats(let settings):
            NATSSink(
                settings,
                contentType: format == .cloudEvents ? "application/cloudevents+json" : "application/json")
        }
    }

    /// What `doctor` finds.
    func findings() async -> [Finding] {
        switch self {
        case .file(let settings): FileDoctor.findings(settings)
        case .nats(let settings): await NATSDoctor(settings).findings()
        }
    }
}

extension SettingValues {
    /// Makes a relative path absolute, which stands under a name, or in groups under names.
    fileprivate mutating func resolve(_ names: ArraySlice<String>, _ configuration: PipelineConfiguration) {
        guard let name = names.first else { return }
        if names.count > 1, var inner = group(name) {
            inner.resolve(names.dropFirst(), configuration)
            self[name] = .group(inner)
        } else if let path = text(name) {
            self[name] = .text(configuration.resolve(path))
        }
    }
}

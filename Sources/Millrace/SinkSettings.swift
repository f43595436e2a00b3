import ConnectorKit
import EventFormat
import FileSink
import NATSSink
import PipelineConfiguration
import WebhookSink

/// The settings of a sink, checked by its connector.
enum SinkSettings {
    case file(FileSettings)
    case nats(NATSSettings)
    case webhook(WebhookSettings)

    /// Settings from the values of the file. Relative paths are taken from the configuration's folder.
    init(_ sink: SinkConfiguration, _ configuration: PipelineConfiguration) throws(SettingProblem) {
        var values = sink.settings
        switch sink.kind {
        case "nats":
            for path in NATSSettings.pathSettings { values.resolve(path[...], configuration) }
            let settings = try NATSSettings(values: values, pipelineName: configuration.name)
            try Self.checkMode(isBinary: settings.isBinary, sink)
            self = .nats(settings)
        case "webhook":
            for path in WebhookSettings.pathSettings { values.resolve(path[...], configuration) }
            let settings = try WebhookSettings(values: values, pipelineName: configuration.name)
            try Self.checkMode(isBinary: settings.mode == .binary, sink)
            self = .webhook(settings)
        default:
            values.resolve(["path"], configuration)
            self = .file(try FileSettings(values: values, pipelineName: configuration.name))
        }
    }

    private static func checkMode(isBinary: Bool, _ sink: SinkConfiguration) throws(SettingProblem) {
        guard isBinary, sink.format != .cloudevents else { return }
        throw SettingProblem(
            "mode", "binary is a spelling of CloudEvents, and the sink's format is \(sink.format.rawValue)",
            hint: "write format: cloudevents, or mode: structured")
    }

    /// A sink object, not open.
    func makeSink(_ format: EventFormat) -> any EventSink {
        switch self {
        case .file(let settings): FileSink(settings)
        case .nats(let settings):
            NATSSink(
                settings,
                contentType: format == .cloudEvents ? "application/cloudevents+json" : "application/json")
        case .webhook(let settings): WebhookSink(settings, isCloudEvents: format == .cloudEvents)
        }
    }

    /// What `doctor` finds.
    func findings() async -> [Finding] {
        switch self {
        case .file(let settings): FileDoctor.findings(settings)
        case .nats(let settings): await NATSDoctor(settings).findings()
        case .webhook(let settings): await WebhookDoctor.findings(settings)
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

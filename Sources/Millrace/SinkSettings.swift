import ConnectorKit
import EventFormat
import FileSink
import PipelineConfiguration
import WebhookSink

/// The settings of whichever sink an entry of the file names.
enum SinkSettings {
    case file(FileSettings)
    case webhook(WebhookSettings)

    /// Settings from checked values. Relative paths are relative to the configuration's folder.
    init(_ sink: SinkConfiguration, _ configuration: PipelineConfiguration) throws(SettingProblem) {
        let name = configuration.name
        switch sink.kind {
        case "webhook":
            let values = Self.resolving(["ca", "certificate", "key"], inGroup: "tls", of: sink.settings, configuration)
            let settings = try WebhookSettings(values: values, pipelineName: name)
            if settings.mode == .binary, sink.format != .cloudevents {
                throw SettingProblem(
                    "mode", "\"binary\" is a mode of CloudEvents, and the sink's format is another",
                    hint: "take format out, or write mode: structured")
            }
            self = .webhook(settings)
        default:
            var values = sink.settings
            if let path = values.text("path") { values["path"] = .text(configuration.resolve(path)) }
            self = .file(try FileSettings(values: values, pipelineName: name))
        }
    }

    /// A sink object.
    func makeSink(_ format: EventFormat) -> any EventSink {
        switch self {
        case .file(let settings): FileSink(settings)
        case .webhook(let settings): WebhookSink(settings, isCloudEvents: format == .cloudEvents)
        }
    }

    /// What `doctor` finds.
    func findings() async -> [Finding] {
        switch self {
        case .file(let settings): FileDoctor.findings(settings)
        case .webhook(let settings): await WebhookDoctor.findings(settings)
        }
    }

    private static func resolving(
        _ names: [String], inGroup group: String, of values: SettingValues, _ configuration: PipelineConfiguration
    ) -> SettingValues {
        var (values, inner) = (values, values.group(group) ?? SettingValues())
        for name in names {
            if let path = inner.text(name) { inner[name] = .text(configuration.resolve(path)) }
        }
        if values.group(group) != nil { values[group] = .group(inner) }
        return values
    }
}

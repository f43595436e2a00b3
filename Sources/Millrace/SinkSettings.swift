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
            let settings = try NATSSettings(
                values: values, pipelineName: configuration.name, topics: Self.topics(sink, configuration))
            try Self.checkMode(isBinary: settings.isBinary, sink)
            try settings.checkNewStream()
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

    /// What the topics of the sink's format are like. Those of outboxes are the application's.
    private static func topics(_ sink: SinkConfiguration, _ configuration: PipelineConfiguration) -> NATSSettings.Topics
    {
        guard sink.format == .debezium else { return .tables }
        let front = DebeziumOptions(sink.debezium).topicFront(pipelineName: configuration.name)
        return .whole(prefix: configuration.outboxes.isEmpty ? front : nil)
    }

    /// Whether the sink forgets its state at a replay from where it is.
    var forgetsAtReplay: Bool {
        switch self {
        case .file: FileSink.forgetsAtReplay
        case .nats: NATSSink.forgetsAtReplay
        case .webhook: WebhookSink.forgetsAtReplay
        }
    }

    /// A sink object, not open.
    func makeSink(
        _ format: EventFormat, _ debezium: DebeziumOptions, reserved: ReservedPaths
    ) -> any EventSink {
        let hasHeaders = format == .debezium && debezium.lines == .value
        switch self {
        case .file(let settings): return FileSink(settings, reserved: reserved)
        case .nats(let settings):
            return NATSSink(
                settings,
                contentType: format == .cloudEvents ? "application/cloudevents+json" : "application/json",
                hasHeaders: hasHeaders)
        case .webhook(let settings):
            return WebhookSink(settings, isCloudEvents: format == .cloudEvents, hasHeaders: hasHeaders)
        }
    }

    /// What `doctor` finds; `known` is nil where there is no log yet.
    func findings(_ known: KnownSink?) async -> [Finding] {
        switch self {
        case .file(let settings): FileDoctor.findings(settings, known)
        case .nats(let settings): await NATSDoctor(settings, known).findings()
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

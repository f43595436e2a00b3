import ArgumentParser
import Broker
import ChangeModel
import ConnectorKit
import EventLog
import PipelineConfiguration
import SchemaRegistry
import Sensitivity

/// Which sensitivity classes a command shows.
struct ClearanceOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The most sensitive class to show: public, internal, confidential or restricted. By default what "
                + "sensitivity.commands allows.",
            valueName: "class"))
    var clearance: SensitivityClass?

    /// What was asked for; nil for what the configuration says.
    var chosen: Clearance? { clearance.map { Clearance($0) } }
}

extension SensitivityClass: ExpressibleByArgument {}

extension Project {
    /// What a command shows of the log.
    func clearing(_ chosen: Clearance?) throws(ConnectorFailure) -> Clearing {
        try Clearing(
            chosen ?? sensitivity.commands, rules: sensitivity.forPrinting,
            schemas: SchemaFolder(directory: schemasDirectory))
    }

    /// What readers of the log are told.
    var eventOrigin: EventOrigin {
        EventOrigin(
            pipelineName: configuration.name, sourceKind: configuration.sourceKind,
            sensitivity: sensitivity.forPrinting, schemasDirectory: schemasDirectory)
    }

    /// How classified values are treated where they must not be seen.
    var sensitivity: SensitivityRules {
        let settings = configuration.sensitivity
        return SensitivityRules(
            unclassified: settings.unclassified, masks: settings.masks, commands: settings.commands,
            salt: configuration.maskSalt.map { Array($0.utf8) })
    }

    /// What of the classes means nothing, and what sinks do not see.
    func sensitivityFindings() -> [Finding] {
        let folder = SchemaFolder(directory: schemasDirectory)
        let sinks = sinks.map { ($0.configuration.name, $0.configuration.clearance) }
        var columns: [String: Set<String>] = [:]
        // In the order of their numbers: the last form of a table counts.
        for version in (try? LogReader(directory: logDirectory).statistics().relations) ?? [] {
            columns[version.subject] = Set(version.relation.columns.map(\.name))
        }
        return sensitivity.findings(of: configuration.name, folder, sinks: sinks, columns: columns)
    }
}

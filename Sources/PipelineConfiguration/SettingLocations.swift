package import ConnectorKit

/// Which connector a problem is about.
package enum ConnectorPlace: Sendable, Equatable {
    /// The source.
    case source
    /// The sink with this name.
    case sink(String)
}

/// Where in its file each setting stands.
package struct SettingLocations: Sendable, Equatable {
    /// The file as the user named it.
    package let file: String
    private var positions: [String: FilePosition] = [:]
    /// The files that secrets were read from (`file:PATH`).
    package private(set) var secretFiles: [String] = []

    init(file: String) { self.file = file }

    mutating func record(secretFile: String) { secretFiles.append(secretFile) }

    mutating func record(_ path: String, _ position: FilePosition) { positions[path] = position }

    /// The place of a setting such as `sinks.archive.file.path` or `source.postgres.tables[2]`. When the file does not
    /// say it (it may be a default), the place of the nearest setting around it; nil when there is none of these
    /// either.
    package func position(of path: String) -> FilePosition? {
        var part = path[...]
        while true {
            if let position = positions[String(part)] { return position }
            guard let end = part.lastIndex(where: { $0 == "." || $0 == "[" }) else { return nil }
            part = part[..<end]
        }
    }

    /// A problem that a connector found in its own settings, whose table stands at `outer`.
    func describe(_ problem: SettingProblem, _ outer: String, secrets: [String]) -> ConfigurationProblem {
        let path = "\(outer).\(problem.setting)"
        return ConfigurationProblem(
            "config.bad_value", redacted(problem.message, secrets), path: path, file: file,
            position: position(of: path), hint: problem.hint.map { redacted($0, secrets) })
    }
}

extension PipelineConfiguration {
    /// The path of the connector's table in the file, such as `source.postgres`; nil for a sink that there is not.
    package func path(of place: ConnectorPlace) -> String? {
        switch place {
        case .source:
            return "source.\(sourceKind)"
        case .sink(let name):
            guard let sink = sinks.first(where: { $0.name == name }) else { return nil }
            return "sinks.\(name).\(sink.kind)"
        }
    }

    /// A problem that a connector found in its own settings, with its place in the file.
    package func describe(_ problem: SettingProblem, in place: ConnectorPlace) -> ConfigurationProblem {
        locations.describe(problem, path(of: place) ?? "sinks", secrets: secrets)
    }

    /// A connector's failure with the place of the setting that has to do with it; nil when it names no setting.
    /// The setting may be a whole path or, when `place` is known, one inside of the connector's table.
    package func describe(_ failure: ConnectorFailure, in place: ConnectorPlace? = nil) -> ConfigurationProblem? {
        guard var path = failure.setting else { return nil }
        if !path.hasPrefix("source."), !path.hasPrefix("sinks."), let outer = place.flatMap(path(of:)) {
            path = "\(outer).\(path)"
        }
        return ConfigurationProblem(
            failure.code, redacting(failure.message), path: path, file: locations.file,
            position: locations.position(of: path), hint: failure.hint.map(redacting))
    }
}

import Glibc

/// Reads configuration files: YAML to a typed configuration, or every problem at once.
package struct ConfigurationLoader {
    private let tables: ConnectorTables
    private let lookup: (String) -> String?

    /// A loader that knows these connectors and takes variables from `lookup`, by default from the process's
    /// environment.
    package init(tables: ConnectorTables, variable lookup: @escaping (String) -> String? = Self.processVariable) {
        self.tables = tables
        self.lookup = lookup
    }

    /// A variable of the process's environment.
    package static func processVariable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Reads the file at `path`; messages name it by that path.
    package func load(_ path: String) throws(ConfigurationProblems) -> PipelineConfiguration {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let bytes: [UInt8]
        do throws(BoundedFile.Failure) {
            bytes = try BoundedFile.read(path, bytesMax: YAMLDocument.bytesMax)
        } catch {
            switch error {
            case .system(let words):
                let problem = ConfigurationProblem(
                    "config.unreadable", "the configuration cannot be read: \(words)", file: path,
                    hint: "name the file with --config, or write one as in README.md")
                throw ConfigurationProblems([problem])
            case .tooLarge:
                let problem = ConfigurationProblem("config.too_large", "the file is larger than 1 MiB", file: path)
                throw ConfigurationProblems([problem])
            }
        }
        return try load(bytes, file: path, folder: folder)
    }

    /// Reads a configuration that is already in memory. `file` is its name in messages; relative paths in it are
    /// relative to `folder`.
    package func load(
        _ bytes: [UInt8], file: String, folder: String
    ) throws(ConfigurationProblems) -> PipelineConfiguration {
        let document = YAMLDocument(bytes: bytes, file: file)
        var reader = SettingReader(file: file, folder: folder, lookup: lookup)
        reader.problems = document.problems
        reader.standIns = document.standIns
        let configuration = document.root.flatMap { reader.configuration(of: $0, tables) }
        guard let configuration, reader.problems.isEmpty else { throw ConfigurationProblems(reader.problems) }
        return configuration
    }
}

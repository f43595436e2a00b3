import ArgumentParser
import Foundation
import PipelineConfiguration

/// `millrace generate`: writes the files of this repository that are made from the connectors' tables of settings.
/// For developers; TidyTests checks that they are current.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Write the generated files of this repository.", shouldDisplay: false)

    @Argument(help: "The repository's root.")
    var root = "."

    func run() throws {
        try write(ConfigurationSchema(tables: ConnectorCatalog.tables).text, to: "Schemas/configuration.schema.json")
        try write(ConfigurationManual(tables: ConnectorCatalog.tables).text, to: "docs/reference/configuration.md")
    }

    private func write(_ text: String, to file: String) throws {
        try text.write(toFile: root + "/" + file, atomically: true, encoding: .utf8)
        Terminal.printLine(file)
    }
}

import ArgumentParser
import ChangeModel
import ConnectorKit
import JSONText
import Masking
import SchemaRegistry

/// `millrace schema infer`
struct SchemaInferCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "infer", abstract: "Print the schema that is derived from a table as the database has it now.",
        discussion: """
            Asks the database that the configuration names and changes nothing. Columns that are masked or left out \
            are so in the schema. Edit it to ask for more (patterns, bounds, enums), and register it: \
            millrace schema infer orders > orders.json
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "A captured table by name or pattern: orders, public.orders.")
    var table: String

    func run() async throws {
        let project = try Project.load(shared.config)
        let pattern = TablePattern(table)
        let relation: Relation
        do throws(ConnectorFailure) {
            let found = try await project.relations().filter { pattern.matches(schema: $0.schema, table: $0.name) }
            guard let only = found.first, found.count == 1 else { throw unknown(found) }
            relation = try project.masks.masked(only)
        } catch {
            throw project.located(error)
        }
        Terminal.printText(SchemaFolder.schema(derivedFrom: relation).prettyText)
    }

    private func unknown(_ found: [Relation]) -> ConnectorFailure {
        let names = found.map(\.qualifiedName).joined(separator: ", ")
        return ConnectorFailure(
            "schema.unknown_table", .stop,
            found.isEmpty ? "no captured table is called \(table)" : "\(table) is several tables: \(names)",
            hint: found.isEmpty ? "see which are captured: millrace doctor" : "name one with its schema", exitCode: 2)
    }
}

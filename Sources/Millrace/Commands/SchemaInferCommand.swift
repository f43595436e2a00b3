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
        let reader = project.makeTableReader()
        let view: TableView
        do throws(ConnectorFailure) {
            view = try await reader.open(of: nil) { pattern.matches(schema: $0.schema, table: $0.name) }
        } catch {
            await reader.close()
            throw project.located(error)
        }
        await reader.close()
        guard let found = view.tables.first, view.tables.count == 1 else {
            let names = view.tables.map(\.relation.qualifiedName).joined(separator: ", ")
            throw ConnectorFailure(
                "schema.unknown_table", .stop,
                view.tables.isEmpty ? "no captured table is called \(table)" : "\(table) is several tables: \(names)",
                hint: view.tables.isEmpty
                    ? "see which are captured: millrace doctor" : "name one with its schema", exitCode: 2)
        }
        let relation: Relation
        do throws(ConnectorFailure) { relation = try project.masks.masked(found.relation) } catch {
            throw project.located(error)
        }
        Terminal.printText(SchemaFolder.schema(derivedFrom: relation).prettyText)
    }
}

import ArgumentParser
import ConnectorKit
import PipelineConfiguration
import SchemaRegistry
import Sensitivity

/// `millrace schema classes`
struct SchemaClassesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "classes", abstract: "List how sensitive the columns of tables are.",
        discussion: """
            A line is a column, its class, and for each sink that may not see it what stands in its place. Only \
            columns that a schema classifies are listed, and with --all every column.
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "Subjects, such as shop.public.orders. All when none is given.")
    var subjects: [String] = []
    @Flag(help: "List columns without a class of their own too.")
    var all = false

    func run() throws {
        let project = try Project.load(shared.config)
        let folder = SchemaFolder(directory: project.schemasDirectory)
        for subject in subjects.isEmpty ? try folder.subjects() : subjects {
            let classes = try folder.classes(of: subject)
            if !subjects.isEmpty, classes.latest == nil { throw SchemaCommand.unknown(subject, folder) }
            let columns = classes.all(unclassified: project.sensitivity.unclassified)
            for column in columns where all || column.isClassified || classes.table != nil {
                Terminal.printLine(line(subject, column, project))
            }
        }
    }

    private func line(_ subject: String, _ column: TableClasses.ClassifiedColumn, _ project: Project) -> String {
        let sinks = project.sinks.map(\.configuration).filter { !$0.clearance.allows(column.sensitivity) }
        var line = "\(subject) \(column.name): \(column.sensitivity.rawValue)"
        if !sinks.isEmpty {
            let mask = column.isKey ? "hash" : project.sensitivity.mask(of: column.sensitivity).name
            line += ", \(mask) for \(sinks.map(\.name).joined(separator: ", "))"
        }
        return line
    }
}

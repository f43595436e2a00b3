import ArgumentParser
import ConnectorKit
import SchemaRegistry

/// `millrace schema accept`
struct SchemaAcceptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept", abstract: "Make the proposed forms of a table versions of its contract.",
        discussion: """
            A table that changed while schemas.on_change is halt or quarantine, or a new one while \
            schemas.on_new_table is require, has a proposal beside its versions. A running process notices within a \
            second, and delivers what was set aside; a stopped one goes on at its next start.
            """)

    @OptionGroup var place: SchemaOptions
    @Argument(help: "Subjects, such as shop.public.orders.")
    var subjects: [String]

    func run() throws {
        let folder = SchemaFolder(directory: try place.directory())
        for subject in subjects {
            let proposals = try folder.proposals(of: subject)
            if proposals.isEmpty {
                guard let latest = try folder.latest(of: subject) else {
                    throw SchemaCommand.unknown(subject, folder)
                }
                Terminal.printLine("\(subject): nothing is proposed; the latest version is \(latest.version)")
            }
            for proposal in proposals {
                let before = try folder.latest(of: subject)
                let version = try folder.accept(proposal, of: subject)
                let difference = before.map { SchemaDifference(from: $0.schema, to: proposal.schema) }
                let text = difference.map { ": \($0.summary) (\($0.verdict))" } ?? ""
                Terminal.printLine("\(subject): proposed-\(proposal.number) is version \(version)\(text)")
            }
        }
    }
}

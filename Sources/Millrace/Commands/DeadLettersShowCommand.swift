import ArgumentParser
import ChangeModel
import ConnectorKit
import EventFormat
import EventLog
import Glibc
import Pipeline
import PipelineConfiguration
import SchemaRegistry
import Sensitivity

/// `millrace deadletters show`
struct DeadLettersShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Print the identity of each change that was set aside, one line each.",
        discussion: """
            A line is the event's id, the operation, the table and the version of its contract (0: none is accepted); \
            for rows that are not valid, or wait behind one, also whether the change itself is valid by now, or why \
            not. \
            With --data it is the event as it would be delivered, in the form of `millrace tail`, and without what \
            the clearance does not show.
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "Tables, subjects, or @SINK. All when none is given.")
    var tables: [String] = []
    @Flag(help: "Print whole events, with the rows' values as far as the clearance shows them.")
    var data = false
    @OptionGroup var clearance: ClearanceOption

    func run() throws {
        let project = try Project.load(shared.config)
        let reader = try LogReader(directory: project.logDirectory)
        var clearing = try project.clearing(clearance.chosen)
        let encoder = ClearedEncoder(
            pipelineName: project.configuration.name, sourceKind: project.configuration.sourceKind,
            format: .cloudEvents)
        var reasons = RowReasons(schemas: SchemaFolder(directory: project.schemasDirectory))
        for group in try DeadLettersCommand.groups(tables, project) {
            var last: Int64 = 0
            while let stored = try reader.deadLetter(of: group.subject, after: last) {
                last = stored.id
                let isRead =
                    data
                    ? try Self.printEvents(stored.letter, &clearing, encoder, project)
                    : try printIdentities(stored, project, &reasons)
                // The reader of a pipe that went away has seen enough.
                if !isRead { return }
            }
        }
    }

    private func printIdentities(
        _ stored: StoredDeadLetter, _ project: Project, _ reasons: inout RowReasons
    ) throws -> Bool {
        let letter = stored.letter
        for index in 0..<letter.batch.changeCount {
            let change = letter.batch.change(at: index)
            let version = letter.versions[Int(change.relation)]
            let id = Self.id(letter.batch.identity(at: index), project.configuration.name)
            var line = "\(id) \(change.operation.name) \(version.relation.qualifiedName) version \(version.version)"
            if letter.subject.hasSuffix(Quarantine.rejectedSuffix), letter.code.hasPrefix("schema.") {
                line += ", " + (try reasons.reason(index, of: letter))
            } else if DeadLetter.sink(ofSubject: letter.subject) != nil {
                line += ", [\(letter.code)] \(letter.message)"
            }
            guard Terminal.printLine(line) else { return false }
        }
        return true
    }

    /// The event's id, as the events spell it (`docs/reference/events.md`).
    private static func id(_ identity: ChangeIdentity, _ pipelineName: String) -> String {
        func hex(_ number: UInt64, _ width: Int) -> String {
            let digits = String(number, radix: 16, uppercase: true)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(pipelineName)-\(hex(identity.commit, 16))-\(hex(UInt64(identity.ordinal), 8))"
    }

    private static func printEvents(
        _ letter: DeadLetter, _ clearing: inout Clearing, _ encoder: ClearedEncoder, _ project: Project
    ) throws -> Bool {
        let cleared: ClearedBatch
        do throws(ConnectorFailure) {
            cleared = try clearing.apply(to: letter)
        } catch {
            throw project.located(error)
        }
        var index = 0
        while index < letter.batch.changeCount {
            let part = try encoder.encode(cleared, from: index, bytesMax: 1 << 20) { _ in true }
            for record in part.records.records {
                guard Terminal.write(part.records.payload(of: record), to: 1), Terminal.printLine("") else {
                    return false
                }
            }
            index = part.nextIndex
        }
        return true
    }
}

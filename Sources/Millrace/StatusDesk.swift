import ConnectorKit
import EventLog
import PipelineConfiguration

/// Gives the status to any number of askers: it is looked up once a second at most, and a database that does not answer
/// keeps nobody waiting for long.
actor StatusDesk {
    private let project: Project
    private let thread = BlockingThread(name: "status")
    private var last: (report: StatusReport, at: ContinuousClock.Instant)?
    /// The look that is under way.
    private var look: Task<Result<StatusReport, ConnectorFailure>, Never>?

    private static let ageMax = Duration.seconds(1)
    /// How long the source's database may take; the rest of the status does not depend on it.
    private static let patience = Duration.seconds(5)

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// The desk of a project.
    init(_ project: Project) { self.project = project }

    /// The status, a second old at most, or why the log cannot be read.
    func report() async -> Result<StatusReport, ConnectorFailure> {
        if let last, ContinuousClock.now - last.at < Self.ageMax { return .success(last.report) }
        if let look { return await look.value }
        let task = Task { await lookUp() }
        look = task
        let result = await task.value
        look = nil
        if case .success(let report) = result { last = (report, .now) }
        return result
    }

    private func lookUp() async -> Result<StatusReport, ConnectorFailure> {
        do throws(ConnectorFailure) {
            let log = try LogReader(directory: project.logDirectory).statistics()
            return .success(StatusReport(project: project, log: log, source: await source(log)))
        } catch {
            return .failure(error)
        }
    }

    /// What the database says, or that it says nothing for now.
    private func source(_ log: LogStatistics) async -> SourceReport {
        let (answers, answer) = AsyncStream.makeStream(of: SourceReport.self)
        let project = project
        Task.detached { answer.yield(await project.sourceStatus(log.checkpoint)) }
        let alarm = Task.detached {
            try? await Task.sleep(for: Self.patience)
            answer.finish()
        }
        defer { alarm.cancel() }
        for await report in answers { return report }
        return SourceReport(
            figures: [], kind: project.configuration.sourceKind,
            failure: "the database did not answer within \(Self.patience.components.seconds) s")
    }
}

import ConnectorKit
import EventLog

/// Leaves requests for the running process and prints its answers.
struct OperatorDesk {
    private let box: RequestBox

    /// A desk at the log of a project.
    init(_ project: Project) { box = RequestBox(logDirectory: project.logDirectory) }

    /// Leaves a request and prints what became of it. A request that nobody answered within `patience` stays, and that
    /// is said. Throws `run.request_refused` when the running process refused it.
    func ask(_ action: OperatorRequest.Action, patience: Duration) async throws(ConnectorFailure) {
        let request = OperatorRequest(action)
        try box.post(request)
        let end = ContinuousClock.now + patience
        while ContinuousClock.now < end {
            if let outcome = box.takeAnswer(to: request.id) {
                guard outcome.isDone else {
                    throw ConnectorFailure(
                        "run.request_refused", .stop, "the request was not carried out, or not whole: \(outcome.text)",
                        exitCode: 1)
                }
                Terminal.printLine(outcome.text)
                return
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
        Terminal.printLine(
            box.isAttended
                ? "the running process has not answered yet; the request stays, and it carries it out when it gets "
                    + "that far (millrace status says what keeps it), or the next `millrace run` does"
                : "no process took the request yet; it stays, and the next `millrace run` carries it out")
    }
}

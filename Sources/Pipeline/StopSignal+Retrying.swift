import ConnectorKit
import Logging

extension StopSignal {
    /// Repeats what cannot be done now but may be done later, such as a write on a full disk, with growing pauses and
    /// `line` in the log for each. Nil when asked to stop before it worked. A failure whose remedy is stop is thrown
    /// at once, and so is one that comes when the work was tried for `limit`. `told` hears of each failure, and nil
    /// when the work was done after some.
    func retrying<Subject, T: Sendable>(
        _ line: Logger.Message, _ logger: Logger, on subject: inout Subject,
        for limit: Duration? = nil, told: (ConnectorFailure?) -> Void = { _ in },
        _ work: (inout Subject) async throws(ConnectorFailure) -> T
    ) async throws(ConnectorFailure) -> T? {
        var pauses = Backoff()
        var patience = Patience(limit: limit)
        while true {
            do throws(ConnectorFailure) {
                let result = try await work(&subject)
                if pauses.failureCount > 0 { told(nil) }
                return result
            } catch {
                guard error.remedy == .retry else { throw error }
                told(error)
                if isRequested { return nil }
                patience.failed()
                if patience.isOver { throw error }
                let pause = patience.shortened(pauses.nextPause())
                logger.error(line, metadata: .failure(error, retryIn: pause))
                await wait(upTo: pause)
                if isRequested { return nil }
            }
        }
    }
}

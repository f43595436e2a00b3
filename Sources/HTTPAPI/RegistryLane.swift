internal import ConnectorKit
internal import SchemaRegistry

/// A thread on which one part of the registry's work is done, one call after the other: files and locks of other
/// processes may keep it waiting, and nothing else.
actor RegistryLane {
    private let thread: BlockingThread

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(_ name: String) { thread = BlockingThread(name: name) }

    /// Does work that may wait; the registry's failures become problems of the request.
    func reply(_ work: @Sendable () throws -> APIReply) throws(HTTPProblem) -> APIReply {
        do {
            return try work()
        } catch let problem as HTTPProblem {
            throw problem
        } catch let failure as RegistryFailure {
            throw HTTPProblem(failure)
        } catch {
            throw HTTPProblem(500, code: 50001, "the registry failed")
        }
    }
}

extension HTTPProblem {
    /// A failure of the registry under its own number.
    init(_ failure: RegistryFailure) {
        var message = failure.message
        // What to do next is about the request for these; for the others it is a command of this machine.
        if failure.httpStatus == 422, let hint = failure.hint { message += "; " + hint }
        self.init(failure.httpStatus, code: failure.code.rawValue, message)
    }
}

import EventFormat
import Logging

extension DeliveryStage {
    /// Says what is wrong with what applications say about their transactions: each kind once, because a program that
    /// does it wrong does so in every transaction. Nothing that was said is told.
    mutating func tell(_ problems: Set<ContextProblem>) {
        if problems.isEmpty { return }
        for problem in ContextProblem.allCases where problems.contains(problem) {
            guard toldProblems.insert(problem).inserted else { continue }
            logger.warning(
                "what an application said about a transaction is not all in its events",
                metadata: ["reason": "\(problem.text)"])
        }
    }
}

/// What a connector has made in a database, and the statements that take it away again.
public struct TeardownPlan: Sendable, Equatable {
    /// Something that is to be dropped.
    public struct Step: Sendable, Equatable {
        /// What it is and what goes with it, such as `slot "millrace_shop"`.
        public var what: String
        /// The statement that drops it.
        public var statement: String

        /// A step of its parts.
        public init(_ what: String, _ statement: String) {
            self.what = what
            self.statement = statement
        }
    }

    /// In the order in which they are taken; empty when there is nothing of ours.
    public var steps: [Step]
    /// What stays, and why.
    public var kept: [String]

    /// A plan of its parts.
    public init(steps: [Step] = [], kept: [String] = []) {
        self.steps = steps
        self.kept = kept
    }
}

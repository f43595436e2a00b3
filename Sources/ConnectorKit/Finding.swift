/// One line of what `millrace doctor` found out.
public struct Finding: Sendable, Equatable {
    /// How bad it is.
    public enum Level: String, Sendable, Comparable {
        /// As it should be.
        case ok
        /// Works, but somebody should know.
        case warning
        /// Capture or delivery would not work.
        case problem

        /// Better is less.
        public static func < (a: Level, b: Level) -> Bool { a.rank < b.rank }
        private var rank: Int { self == .ok ? 0 : self == .warning ? 1 : 2 }
    }

    /// How bad it is.
    public var level: Level
    /// A stable code, as in ``ConnectorFailure/code``.
    public var code: String
    /// What was looked at and what was found.
    public var message: String
    /// The statement, command or setting that mends it; nil when nothing is to be done.
    public var fix: String?

    /// A finding of its parts.
    public init(_ level: Level, _ code: String, _ message: String, fix: String? = nil) {
        self.level = level
        self.code = code
        self.message = message
        self.fix = fix
    }
}

package import ConnectorKit

/// The settings of every connector of this program, by the name that the configuration uses for it.
///
/// The main program makes it from the tables that the connectors declare, so that this module knows no connector.
package struct ConnectorTables: Sendable {
    /// What a connector finds wrong with its own settings beyond their kinds, given them and the pipeline's name: the
    /// first problem, with the others in it.
    package typealias Check = @Sendable (SettingValues, String) -> SettingProblem?

    /// The sources, such as `postgres`.
    package var sources: [String: [Setting]]
    /// The sinks, such as `file`.
    package var sinks: [String: [Setting]]
    /// The sources' own checks; a source without one takes whatever fits its table.
    package var sourceChecks: [String: Check]
    /// The sinks' own checks; a sink without one takes whatever fits its table.
    package var sinkChecks: [String: Check]

    /// Tables and checks by connector.
    package init(
        sources: [String: [Setting]], sinks: [String: [Setting]], sourceChecks: [String: Check] = [:],
        sinkChecks: [String: Check] = [:]
    ) {
        self.sources = sources
        self.sinks = sinks
        self.sourceChecks = sourceChecks
        self.sinkChecks = sinkChecks
    }
}

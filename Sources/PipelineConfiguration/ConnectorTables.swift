package import ConnectorKit

/// The settings of every connector of this program, by the name that the configuration uses for it.
///
/// The main program makes it from the tables that the connectors declare, so that this module knows no connector.
package struct ConnectorTables: Sendable {
    /// The sources, such as `postgres`.
    package var sources: [String: [Setting]]
    /// The sinks, such as `file`.
    package var sinks: [String: [Setting]]

    /// Tables by connector.
    package init(sources: [String: [Setting]], sinks: [String: [Setting]]) {
        self.sources = sources
        self.sinks = sinks
    }
}

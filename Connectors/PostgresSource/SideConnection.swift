internal import ConnectorKit
private import Synchronization

/// The ordinary connection beside the stream, for catalogue queries. Made when it is first needed, and made again when
/// the server closed it meanwhile. Blocks the calling thread; the server ends a query after 20 seconds.
final class SideConnection: Sendable {
    private let url: String
    private let applicationName: String
    private let connection = Mutex<PostgresConnection?>(nil)

    /// Connects when the first query comes. The server shows `applicationName` unless the user chose another.
    init(url: String, applicationName: String = "millrace") {
        self.url = url
        self.applicationName = applicationName
    }

    /// What the connection of the last query is; nil before the first.
    var facts: ConnectionFacts? { connection.withLock { $0?.facts } }

    /// Runs one query, again on a fresh connection when the old one turns out to be gone.
    func query(_ sql: String, _ arguments: [String] = []) throws(ConnectorFailure) -> QueryResult {
        try attempt(sql, arguments, .preparing)
    }

    /// Closes the connection; the next query opens another.
    func close() { connection.withLock { $0 = nil } }

    private func attempt(
        _ sql: String, _ arguments: [String], _ activity: PostgresFailure.Activity
    ) throws(ConnectorFailure) -> QueryResult {
        try connection.withLock { (held: inout PostgresConnection?) throws(ConnectorFailure) -> QueryResult in
            if let old = held {
                do throws(ServerError) {
                    return try old.execute(sql, arguments)
                } catch {
                    if !error.isConnectionLost { throw PostgresFailure.because(of: error, activity) }
                    held = nil
                }
            }
            let fresh = try connect()
            held = fresh
            do throws(ServerError) {
                return try fresh.execute(sql, arguments)
            } catch {
                if error.isConnectionLost { held = nil }
                throw PostgresFailure.because(of: error, activity)
            }
        }
    }

    private func connect() throws(ConnectorFailure) -> PostgresConnection {
        do throws(ServerError) {
            return try PostgresConnection(opening: url, for: .catalogue, applicationName: applicationName)
        } catch {
            throw PostgresFailure.because(of: error, .connecting)
        }
    }
}

import ConnectorKit
import ConnectorTesting
import Dispatch
import Synchronization

@testable import PostgresSource

/// A session that changes rows at random until it is stopped. It alone writes the keys that leave its own remainder, so
/// that the versions of a key rise in the order of the commits.
final class SnapshotScribe: Sendable {
    private let isStopping = Mutex(false)
    private let state = Mutex<(count: Int, error: String?)>((0, nil))
    private let hasEnded = DispatchSemaphore(value: 0)
    /// Transactions that it may begin, so that it never runs far ahead of the reader.
    private let allowance = DispatchSemaphore(value: 0)
    private let connection: PostgresConnection
    private let remainder: Int
    private let of: Int
    private let keys: Int
    private let hasTruncate: Bool

    /// The table that it writes.
    static let table = """
        CREATE SEQUENCE versions;
        CREATE TABLE t (id int PRIMARY KEY, v bigint NOT NULL DEFAULT nextval('public.versions'), note text, big text);
        ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL;
        """

    init(_ database: TestDatabase, remainder: Int, of count: Int, keys: Int, hasTruncate: Bool, seed: UInt64) throws {
        connection = try database.session()
        (self.remainder, of, self.keys, self.hasTruncate) = (remainder, count, keys, hasTruncate)
        allow(20)
        startThread(name: "scribe") { [self] in write(SeededGenerator(seed: seed)) }
    }

    /// How many transactions were committed.
    var count: Int { state.withLock { $0.count } }

    /// Ends it and waits for its end; what went wrong, if anything.
    func stop() -> String? {
        isStopping.withLock { $0 = true }
        allowance.signal()
        hasEnded.wait()
        return state.withLock { $0.error }
    }

    /// Lets it begin so many more transactions.
    func allow(_ count: Int) { for _ in 0..<count { allowance.signal() } }

    private func write(_ generator: SeededGenerator) {
        var random = generator
        while true {
            allowance.wait()
            if isStopping.withLock({ $0 }) { break }
            let statements = (0..<Int.random(in: 1...4, using: &random)).map { _ in statement(&random) }
            let end = Int.random(in: 0..<12, using: &random) == 0 ? "ROLLBACK" : "COMMIT"
            do throws(ServerError) {
                _ = try connection.execute("BEGIN; \(statements.joined(separator: "; ")); \(end)")
                state.withLock { $0.count += 1 }
            } catch {
                // Two sessions that truncate may wait for each other.
                guard error.sqlState == "40P01" || error.sqlState == "55P03" else {
                    state.withLock { $0.error = error.message }
                    break
                }
                _ = try? connection.execute("ROLLBACK")
            }
        }
        hasEnded.signal()
    }

    private func key(_ random: inout SeededGenerator) -> Int {
        Int.random(in: 0..<keys / of, using: &random) * of + remainder
    }

    private func statement(_ random: inout SeededGenerator) -> String {
        let id = key(&random)
        let version = "v = nextval('public.versions')"
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<6:
            let big = Int.random(in: 0..<3, using: &random) == 0 ? "repeat('\(id % 10)', 2500)" : "'small'"
            return "INSERT INTO public.t (id, note, big) VALUES (\(id), 'new', \(big)) ON CONFLICT DO NOTHING"
        case 6..<11: return "UPDATE public.t SET \(version), note = 'n\(id)' WHERE id = \(id)"
        case 11..<13: return "UPDATE public.t SET \(version), big = repeat('b', 2600) WHERE id = \(id)"
        case 13..<15:
            let other = key(&random)
            return "UPDATE public.t SET \(version), id = \(other) WHERE id = \(id) "
                + "AND NOT EXISTS (SELECT FROM public.t WHERE id = \(other))"
        case 15..<17: return "DELETE FROM public.t WHERE id = \(id)"
        default:
            let truncates = hasTruncate && Int.random(in: 0..<300, using: &random) == 0
            return truncates ? "TRUNCATE public.t" : "DELETE FROM public.t WHERE id = \(id)"
        }
    }
}

import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Drives a source on a server of a test's own, whose table is `public.t`.
final class ServerReader {
    let source: PostgresSource
    let settings: PostgresSettings
    let notices = SourceReader.Notices()
    var checkpoint: SourceCheckpoint?
    var identity: SourceIdentity?
    /// What has come, as ``SeenChange/line``.
    var lines: [String] = []
    private let client: PostgresConnection

    init(
        _ server: PrivateServer, after checkpoint: SourceCheckpoint? = nil, of identity: SourceIdentity? = nil,
        recovers: Bool = false, values more: [String: SettingValue] = [:],
        adjusting adjust: (inout PostgresSettings) -> Void = { _ in }
    ) throws {
        client = try PostgresConnection(opening: server.url, for: .catalogue)
        var values = SettingValues([
            "url": .text(server.url), "tables": .list(["public.t"]), "slot": .text("s"), "publication": .text("p"),
        ])
        for (name, value) in more { values[name] = value }
        var settings = try PostgresSettings(values: values, pipelineName: "s")
        settings.watchInterval = .milliseconds(50)
        adjust(&settings)
        self.settings = settings
        source = PostgresSource(settings: settings, notice: { [notices] in notices.add($0) }, recovers: recovers)
        (self.checkpoint, self.identity) = (checkpoint, identity)
    }

    /// Runs SQL beside the source; the first value.
    @discardableResult
    func run(_ sql: String) throws -> String? {
        try client.execute(sql, within: .seconds(120)).rows.first?.first ?? nil
    }

    func open() async throws { identity = try await source.open(resumingAfter: checkpoint, of: identity) }

    /// The code of the failure to open; nil when it opened.
    func refusal() async -> String? { await failureToOpen().map { "\($0.code): \($0.message)" } }

    /// The failure to open; nil when it opened.
    func failureToOpen() async -> ConnectorFailure? {
        do {
            try await open()
            return nil
        } catch {
            await source.close()
            return error as? ConnectorFailure
        }
    }

    /// Takes and acknowledges batches until the condition holds.
    func take(until what: String, _ isThere: () throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try !isThere() {
            try #require(ContinuousClock.now < deadline, "\(what) never happened; \(notices.all)")
            let batch = try await source.nextBatch(until: .now + .milliseconds(20))
            checkpoint = batch.checkpoint
            lines += batch.seen.map(\.line)
            if let resume = batch.checkpoint?.resume { source.acknowledge(resume) }
        }
    }

    /// Takes until everything that is committed now has come.
    func catchUp() async throws {
        let end = try await source.endPosition()
        try await take(until: "the end") { (checkpoint?.resume ?? ResumePosition(0)) >= end }
    }

    /// The failure that ends the stream.
    func failure() async throws -> ConnectorFailure? {
        do {
            try await take(until: "a failure") { false }
            return nil
        } catch let failure as ConnectorFailure {
            return failure
        }
    }
}

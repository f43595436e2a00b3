import ConnectorKit
import Glibc
import Testing

@testable import PostgresSource

/// Connections as libpq offers them: what works, and what each refusal says. Real servers with real certificates.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ConnectionTests {
    /// Opens a source and gives what went wrong.
    private func failure(_ url: String, slot: String = "s") async throws -> ConnectorFailure? {
        let values = SettingValues(["url": .text(url), "tables": .list(["public.t"]), "slot": .text(slot)])
        let source = PostgresSource(settings: try PostgresSettings(values: values, pipelineName: "shop"))
        let failure: ConnectorFailure?
        do throws(ConnectorFailure) {
            _ = try await source.open(resumingAfter: nil, of: nil)
            failure = nil
        } catch {
            failure = error
        }
        await source.close()
        return failure
    }

    struct Case: Sendable {
        var url: String
        var code: String
        var remedy = Remedy.stop
        var message: String
        var hint: String
    }

    @Test func everyRefusalIsToldApartAndNamesItsFix() async throws {
        let secure = try SecureServer()
        let folder = secure.folder
        _ = chmod(folder + "/strange.key", 0o644)
        try PrivateFile.write(folder + "/pass", "*:*:*:*:wrong-secret\n", mode: 0o600)
        try PrivateFile.write(folder + "/open", "*:*:*:*:right\n", mode: 0o644)
        for refusal in Self.refusals {
            let url = secure.place + " " + refusal.url.replacing("FOLDER", with: folder)
            let failure = try await failure(url)
            #expect(failure?.code == refusal.code, "\(refusal.url): \(failure?.message ?? "no failure")")
            #expect(failure?.remedy == refusal.remedy, "\(refusal.url)")
            #expect(failure?.setting == "source.postgres.url", "\(refusal.url)")
            #expect(failure?.message.contains(refusal.message) == true, "\(refusal.url): \(failure?.message ?? "")")
            #expect(failure?.hint?.contains(refusal.hint) == true, "\(refusal.url): \(failure?.hint ?? "no hint")")
            for text in [failure?.message, failure?.hint] { #expect(text?.contains("secret") == false) }
        }
    }

    private static let refusals: [Case] = loginRefusals + tlsRefusals + settingRefusals

    private static let loginRefusals = [
        Case(
            url: "user=scram password=my-secret", code: "postgres.authentication",
            message: "password authentication failed", hint: "ALTER ROLE \"scram\" PASSWORD"),
        Case(
            url: "user=scram passfile=FOLDER/pass", code: "postgres.authentication",
            message: "password authentication failed", hint: "it came from /"),
        Case(
            url: "user=scram passfile=FOLDER/open", code: "postgres.authentication",
            message: "no password supplied", hint: "mode 0600"),
        Case(
            url: "user=scram password=right sslmode=disable", code: "postgres.authentication",
            message: "no pg_hba.conf entry",
            hint: "host postgres scram 127.0.0.1/32 scram-sha-256, then SELECT pg_reload_conf(); if it has hostssl"),
        Case(
            url: "user=nobody password=secret", code: "postgres.authentication", message: "no pg_hba.conf entry",
            hint: "hostssl postgres nobody 127.0.0.1/32 scram-sha-256"),
        Case(
            url: "user=asleep", code: "postgres.authentication", message: "not permitted to log in",
            hint: "ALTER ROLE \"asleep\" LOGIN;"),
        Case(
            url: "user=certy", code: "postgres.authentication", message: "valid client certificate", hint: "sslcert="),
        Case(
            url: "user=certy sslcert=FOLDER/ca.crt sslkey=FOLDER/ca.key", code: "postgres.authentication",
            message: "certificate authentication failed", hint: "CN is \"certy\""),
        Case(
            url: "user=postgres channel_binding=require", code: "postgres.authentication", message: "channel binding",
            hint: "channel_binding=require"),
    ]

    private static let tlsRefusals = [
        Case(
            url: "user=scram password=right sslmode=verify-full sslrootcert=FOLDER/ca.crt", code: "postgres.tls",
            message: "does not match host name \"127.0.0.1\"", hint: "verify-ca"),
        Case(
            url: "user=scram password=right sslmode=verify-ca sslrootcert=FOLDER/other.crt", code: "postgres.tls",
            message: "certificate verify failed", hint: "openssl s_client -starttls postgres"),
        Case(
            url: "user=scram password=right sslmode=verify-ca sslrootcert=FOLDER/none.crt", code: "postgres.tls",
            message: "root certificate file", hint: "sslrootcert=FILE"),
        Case(
            url: "user=certy sslcert=FOLDER/client.crt sslkey=FOLDER/strange.key", code: "postgres.tls",
            message: "has group or world access", hint: "chmod 600"),
        Case(
            url: "user=certy sslcert=FOLDER/client.crt sslkey=FOLDER/none.key", code: "postgres.tls",
            message: "private key file", hint: "sslkey=FILE"),
        Case(
            url: "user=certy sslcert=FOLDER/client.crt sslkey=FOLDER/server.key", code: "postgres.tls",
            message: "key values mismatch", hint: "sslkey=FILE"),
        Case(
            url: "user=certy sslcert=FOLDER/expired.crt sslkey=FOLDER/client.key", code: "postgres.tls",
            message: "certificate expired", hint: "ssl_ca_file"),
        Case(
            url: "user=certy sslcert=FOLDER/other.crt sslkey=FOLDER/other.key", code: "postgres.tls",
            message: "unknown ca", hint: "ssl_ca_file"),
    ]

    private static let settingRefusals = [
        Case(
            url: "user=postgres service=nowhere", code: "postgres.connection_settings",
            message: "definition of service \"nowhere\" not found", hint: "PGSERVICEFILE"),
        Case(
            url: "user=postgres sslmode=maybe", code: "postgres.connection_settings", message: "invalid sslmode",
            hint: "correct it in the URL"),
        Case(
            url: "user=postgres port=x", code: "postgres.connection_settings", message: "\"x\"",
            hint: "correct it in the URL"),
        Case(
            url: "user=postgres port=1,2,3 host=127.0.0.1,127.0.0.1", code: "postgres.connection_settings",
            message: "could not match", hint: "correct it in the URL"),
        Case(
            url: "user=postgres options='-c nonsense=1'", code: "postgres.connection_settings",
            message: "nonsense", hint: "options="),
        Case(
            url: "user=postgres target_session_attrs=standby", code: "postgres.no_primary", remedy: .retry,
            message: "not in hot standby mode", hint: "asks for a standby"),
        Case(
            url: "user=postgres host=millrace.invalid", code: "postgres.connection_failed", remedy: .retry,
            message: "could not translate host name", hint: "it is tried again"),
        Case(
            url: "user=postgres host=/nowhere", code: "postgres.connection_failed", remedy: .retry,
            message: "No such file", hint: "SHOW unix_socket_directories"),
    ]

    @Test func everyWayInStreams() async throws {
        let secure = try SecureServer()
        let folder = secure.folder
        try PrivateFile.write(folder + "/pass", "127.0.0.1:*:*:scram:right\n", mode: 0o600)
        let scram = secure.place + " user=scram password=right"
        let ways = [
            scram, scram + " sslmode=require channel_binding=require",
            scram + " sslmode=verify-ca sslrootcert=\(folder)/ca.crt",
            scram.replacing("host=127.0.0.1", with: "host=localhost hostaddr=127.0.0.1")
                + " sslmode=verify-full sslrootcert=\(folder)/ca.crt",
            secure.place + " user=scram passfile=\(folder)/pass",
            "postgresql://scram:right@127.0.0.1:\(secure.server.port)/postgres?sslmode=require",
            secure.place.replacing("127.0.0.1", with: secure.server.folder) + " user=scram",
        ]
        for way in ways { #expect(try await failure(way) == nil, "\(way)") }
        try secure.sql("ALTER ROLE certy SUPERUSER")
        let certy = secure.place + " user=certy sslcert=\(folder)/client.crt sslkey=\(folder)/client.key"
        #expect(try await failure(certy) == nil)
        try secure.sql("ALTER ROLE scram NOREPLICATION")
        #expect(try await failure(scram)?.code == "postgres.no_replication_privilege")
    }

    @Test func anExpiredServerCertificateAndAServerWithoutTLSAreRefused() async throws {
        let secure = try SecureServer()
        let checked = secure.place + " user=scram password=right sslmode=verify-ca sslrootcert=\(secure.folder)/ca.crt"
        #expect(try await failure(checked) == nil)
        try secure.showCertificate(name: "localhost", days: -1)
        try await poll { try await failure(checked)?.message.contains("certificate verify failed") == true }
        #expect(try await failure(checked)?.code == "postgres.tls")
        try secure.sql("ALTER SYSTEM SET ssl = off")
        try secure.sql("SELECT pg_reload_conf()")
        try await poll { try await failure(checked)?.message.contains("does not support SSL") == true }
        let bare = try await failure(checked)
        #expect(bare?.code == "postgres.tls")
        #expect(bare?.hint?.contains("ssl = on") == true)
    }

    @Test func theServerShowsWhoReadsUnlessTheUserNamesIt() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        func names(_ url: String) async throws -> String? {
            let values = SettingValues([
                "url": .text(url), "tables": .list(["public.t"]), "slot": .text(database.name),
            ])
            let source = PostgresSource(settings: try PostgresSettings(values: values, pipelineName: "shop"))
            _ = try await source.open(resumingAfter: nil, of: nil)
            let found = try database.value(
                "SELECT application_name FROM pg_stat_replication WHERE pid = (SELECT active_pid "
                    + "FROM pg_replication_slots WHERE slot_name = '\(database.name)')")
            await source.close()
            return found
        }
        #expect(try await names(database.url) == "millrace shop")
        #expect(try await names(database.url + " application_name=till") == "till")
    }

    @Test func aWalsenderThatWaitsIsNotTakenForOneAtWork() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try await reader.catchUp()
        let settings = try PostgresSettings(
            values: SettingValues([
                "url": .text(database.url), "tables": .list(["public.t"]), "slot": .text(database.name),
            ]),
            pipelineName: "shop")
        let process = try #require(
            try database.value("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '\(database.name)'")
                .flatMap { Int($0) })
        let idle = WalsenderCheck(settings: settings, processID: process, notice: { _ in })
        // It may be about to send what only keeps the connection alive.
        try await poll { !idle.isAtWork(silentFor: .seconds(1)) }
        let gone = WalsenderCheck(settings: settings, processID: 1, notice: { _ in })
        #expect(!gone.isAtWork(silentFor: .seconds(1)))
        await reader.source.close()
    }

    @Test func aSilentWalsenderThatIsAtWorkIsLeftInPeace() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (n int)")
        let url = database.url + " options='-c wal_sender_timeout=6s -c logical_decoding_work_mem=64kB'"
        let reader = try SourceReader(database, tables: ["public.t"], url: url)
        try await reader.open()
        try await reader.catchUp()
        let state = """
            SELECT s.active_pid, a.wait_event_type IS NULL OR a.wait_event_type NOT IN ('Activity', 'Client')
            FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid
            WHERE s.slot_name = '\(database.name)'
            """
        let walsender = try #require(try database.run(state).rows.first?[0].flatMap { pid_t($0) })
        // Stopped in the middle of its work it is as silent as one that passes over a transaction for minutes.
        for attempt in 0..<50 {
            try database.run("INSERT INTO other SELECT generate_series(1, 200000)")
            try #require(kill(walsender, SIGSTOP) == 0)
            if try database.run(state).rows.first?[1] == "t" { break }
            kill(walsender, SIGCONT)
            try #require(attempt < 49, "the walsender was never at work")
        }
        defer { kill(walsender, SIGCONT) }
        let deadline = ContinuousClock.now + .seconds(60)
        while !reader.notices.all.contains(where: { $0.contains("its walsender is at work") }) {
            try #require(ContinuousClock.now < deadline, "the silence was not noticed")
            try await reader.take()
        }
        kill(walsender, SIGCONT)
        try database.run("INSERT INTO t VALUES (1)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.t 1"])
        #expect(try database.run(state).rows.first?[0] == String(walsender), "the stream was broken")
        await reader.source.close()
    }

    @Test func somethingThatIsNoPostgreSQLServerIsSaid() async throws {
        let stranger = try SpeakingHost("HTTP/1.1 400 Bad Request\r\n\r\n")
        let failure = try await failure("host=127.0.0.1 port=\(stranger.port) user=x dbname=x password=secret")
        #expect(failure?.code == "postgres.connection_failed")
        #expect(failure?.hint?.contains("something else than PostgreSQL") == true, "\(failure?.message ?? "")")
    }

    @Test func aPoolerThatTakesNoReplicationIsNamed() async throws {
        let body = "SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: replication\0\0"
        let count = UInt32(body.utf8.count + 4)
        let head = [UInt8(ascii: "E")] + (0..<4).reversed().map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) }
        let pooler = try SpeakingHost(String(decoding: head, as: UTF8.self) + body)
        let failure = try await failure("host=127.0.0.1 port=\(pooler.port) user=x dbname=x sslmode=disable")
        #expect(failure?.code == "postgres.pooler")
        #expect(failure?.remedy == .stop)
        #expect(failure?.hint?.contains("the server's own host and port") == true)
    }

    @Test func doctorSaysHowItIsConnectedAndWarnsOfAnOpenPasswordFile() async throws {
        let secure = try SecureServer()
        try PrivateFile.write(secure.folder + "/open", "*:*:*:*:right\n", mode: 0o644)
        func findings(_ url: String) async throws -> [Finding] {
            let values = SettingValues(["url": .text(url), "tables": .list(["public.t"])])
            return await PostgresDoctor(settings: try PostgresSettings(values: values, pipelineName: "shop")).findings()
        }
        let open = try await findings(secure.place + " user=scram password=right passfile=\(secure.folder)/open")
        #expect(open.first?.message.contains("127.0.0.1, port \(secure.server.port), over TLSv1") == true)
        let warning = open.first { $0.code == "postgres.password_file" }
        #expect(warning?.level == .warning)
        #expect(warning?.fix == "chmod 600 \(secure.folder)/open")
        let plain = try await findings(secure.place + " user=postgres sslmode=disable")
        #expect(plain.first?.message.contains("without encryption") == true)
        let refused = try await findings(secure.place + " user=nobody password=secret")
        #expect(refused.map(\.level) == [.problem])
        #expect(refused.first?.fix?.contains("hostssl postgres nobody 127.0.0.1/32 scram-sha-256") == true)
    }

    /// Asks again until it holds; each question is a connection, and takes its time.
    private func poll(_ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try await !condition() {
            try #require(ContinuousClock.now < deadline)
        }
    }
}

/// Files whose mode matters.
enum PrivateFile {
    static func write(_ path: String, _ text: String, mode: mode_t) throws {
        let descriptor = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode)
        try #require(descriptor >= 0)
        let count = text.utf8CString.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count - 1) }
        close(descriptor)
        try #require(count == text.utf8.count && chmod(path, mode) == 0)
    }
}

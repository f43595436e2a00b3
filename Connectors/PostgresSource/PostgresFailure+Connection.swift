internal import ConnectorKit

/// Why a connection does not come about: what libpq says without a server having a say.
extension PostgresFailure {
    /// The failure for what libpq says about an attempt to connect that no SQLSTATE explains.
    static func cannotConnect(_ message: String) -> ConnectorFailure {
        if let advice = connectionAdvice.first(where: { $0.words.contains { message.contains($0) } }) {
            return ConnectorFailure(
                advice.code, advice.remedy, "cannot connect: \(message)", setting: url, hint: advice.hint,
                exitCode: advice.exitCode)
        }
        return ConnectorFailure(
            "postgres.connection_failed", .retry, "cannot connect: \(message)", setting: url,
            hint: "check that the server runs and that host and port in the URL are right")
    }

    /// The URL leads to something that knows no walsender.
    static func pooler(_ message: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.pooler", .stop, "what answers there cannot stream changes: \(message)", setting: url,
            hint: "a connection pooler answers: name the server's own host and port (mostly 5432) in the URL")
    }

    /// The server does not take what the session is to begin with.
    static func connectionSettings(_ message: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.connection_settings", .stop, "the server refuses a setting of the connection: \(message)",
            setting: url, hint: "correct options=… in the URL or the service file, or PGOPTIONS in the environment",
            exitCode: 2)
    }

    private struct Advice {
        var words: [String]
        var code: String
        var remedy: Remedy
        var hint: String
        var exitCode: Int32 = 3
    }

    /// The first that fits counts. The words are libpq's own, which it says in English as long as no locale is set.
    private static let connectionAdvice: [Advice] = loginAdvice + tlsAdvice + settingAdvice + hostAdvice

    private static let loginAdvice = [
        Advice(
            words: ["no password supplied"], code: "postgres.authentication", remedy: .stop,
            hint: "put the password in the URL, in PGPASSWORD or in a password file (passfile=…, mode 0600)"),
        Advice(
            words: ["channel binding"], code: "postgres.authentication", remedy: .stop,
            hint: "channel binding takes TLS and SCRAM: add sslmode=require and give the role a SCRAM password, "
                + "or take channel_binding=require away"),
    ]

    private static let tlsAdvice = [
        Advice(
            words: ["server does not support SSL"], code: "postgres.tls", remedy: .stop,
            hint: "turn TLS on at the server (ssl = on, ssl_cert_file, ssl_key_file; then SELECT pg_reload_conf()), "
                + "or allow a readable connection: sslmode=prefer"),
        Advice(
            words: ["does not match host name", "could not get server's host name"], code: "postgres.tls",
            remedy: .stop,
            hint: "connect by a name that stands in the certificate (hostaddr=… may name the address beside it), "
                + "or check only who signed it: sslmode=verify-ca"),
        Advice(
            words: ["certificate verify failed"], code: "postgres.tls", remedy: .stop,
            hint: "sslrootcert must name the certificate of who signed the server's, and neither may be expired: "
                + "openssl s_client -starttls postgres -connect HOST:PORT -CAfile FILE says which it is"),
        Advice(
            words: ["root certificate file"], code: "postgres.tls", remedy: .stop,
            hint: "sslrootcert=FILE names the certificate of who signed the server's "
                + "(by default ~/.postgresql/root.crt)"),
        Advice(
            words: ["private key file"], code: "postgres.tls", remedy: .stop,
            hint: "sslkey=FILE names the key of sslcert=FILE; only its owner may read it: chmod 600 FILE"),
        Advice(
            words: ["alert unknown ca", "alert certificate", "alert bad certificate", "alert decrypt"],
            code: "postgres.tls", remedy: .stop,
            hint: "the server does not accept the client's certificate: sslcert=FILE must name one that the server's "
                + "ssl_ca_file signed and that is not expired"),
        Advice(
            words: ["certificate file"], code: "postgres.tls", remedy: .stop,
            hint: "sslcert=FILE names a client certificate in PEM form that this user may read"),
        Advice(
            words: ["received invalid response to SSL negotiation", "expected authentication request"],
            code: "postgres.connection_failed", remedy: .retry,
            hint: "something else than PostgreSQL listens there: check host and port in the URL"),
        Advice(
            words: ["SSL error", "SSL SYSCALL"], code: "postgres.connection_failed", remedy: .retry,
            hint: "the TLS handshake broke: check that server and client share a protocol version "
                + "(ssl_min_protocol_version), and what lies between them"),
    ]

    private static let settingAdvice = [
        Advice(
            words: ["definition of service", "service file"], code: "postgres.connection_settings", remedy: .stop,
            hint: "services stand in ~/.pg_service.conf, or in the file that PGSERVICEFILE names, under [NAME]",
            exitCode: 2),
        Advice(
            words: [
                "invalid port number", "invalid integer value", "could not match", "invalid sslmode", "invalid ssl",
                "invalid target_session_attrs", "invalid gssencmode", "invalid channel_binding", "invalid value",
                "could not parse network address",
            ],
            code: "postgres.connection_settings", remedy: .stop,
            hint: "correct it in the URL, the service file or the PG… environment variables", exitCode: 2),
    ]

    private static let hostAdvice = [
        Advice(
            words: ["session is not read-only", "server is not in hot standby"], code: "postgres.no_primary",
            remedy: .retry,
            hint: "target_session_attrs asks for a standby, and none of the hosts is one now: add a standby's host to "
                + "the URL, or take target_session_attrs out to read the primary"),
        Advice(
            words: ["session is read-only", "server is in hot standby"], code: "postgres.no_primary", remedy: .retry,
            hint:
                "target_session_attrs asks for a primary, and none of the hosts is one now that lets this role write: "
                + "during a switch-over wait, otherwise promote one, add the primary's host to the URL, or look "
                + "whether default_transaction_read_only is on for the role or the database"),
        Advice(
            words: ["could not translate host name"], code: "postgres.connection_failed", remedy: .retry,
            hint: "correct the host in the URL, or mend the name service; it is tried again"),
        Advice(
            words: ["No such file or directory", "Unix-domain socket path"], code: "postgres.connection_failed",
            remedy: .retry,
            hint: "host names the folder of the server's socket: SHOW unix_socket_directories; "
                + "and the port is part of its name"),
    ]
}

import Testing

@testable import PostgresSource

/// A private server with TLS, certificates of its own authority, and roles that log in in different ways.
///
/// `postgres` comes in as it likes, `scram` with a password and only under TLS, `certy` with a client certificate, and
/// nobody else by TCP. In ``folder`` lie `ca.crt`, `other.crt` (another authority), `client.crt` and `.key`,
/// `expired.crt` (of the client), and `strange.crt` and `.key` (signed by nobody).
final class SecureServer: Sendable {
    let server: PrivateServer
    let folder: String
    /// Reaches the server without saying who comes: `host=127.0.0.1 port=… dbname=postgres`.
    let place: String

    init() throws {
        server = try PrivateServer([])
        folder = server.folder + "/certificates"
        place = "host=127.0.0.1 port=\(server.port) dbname=postgres"
        try make(Self.certificates)
        let admin = try PostgresConnection(opening: server.url, for: .catalogue)
        let statements = [
            "CREATE ROLE scram LOGIN REPLICATION PASSWORD 'right'", "CREATE ROLE certy LOGIN REPLICATION",
            "CREATE ROLE asleep NOLOGIN", "CREATE TABLE public.t (id int PRIMARY KEY)",
            "ALTER TABLE public.t OWNER TO scram", "GRANT CREATE ON DATABASE postgres TO scram",
            "ALTER SYSTEM SET ssl_ca_file = 'root.crt'", "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()",
        ]
        for statement in statements { _ = try admin.execute(statement) }
    }

    /// Lets the server show a certificate of this name for so many days, from the next connection on.
    func showCertificate(name: String, days: Int = 2) throws {
        try make(
            """
            \(Self.sign("server", name, days: days))
            cp server.crt server.key ../data
            \(Self.ownership)
            """)
        let admin = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try admin.execute("SELECT pg_reload_conf()")
    }

    func sql(_ statement: String) throws {
        let admin = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try admin.execute(statement)
    }

    private func make(_ commands: String) throws {
        let done = PrivateServer.shell(
            "mkdir -p '\(folder)'; cd '\(folder)'; { \(commands)\n } >made.log 2>&1; echo made")
        try #require(done == "made", "see \(folder)/made.log")
    }

    private static func sign(_ file: String, _ name: String, days: Int = 2) -> String {
        """
        openssl req -new -nodes -subj '/CN=\(name)' -keyout \(file).key -out \(file).csr
        openssl x509 -req -in \(file).csr -CA ca.crt -CAkey ca.key -CAcreateserial -days \(days) -out \(file).crt
        """
    }

    private static let ownership = """
        chmod 600 ../data/server.key
        if [ "$(id -u)" = 0 ]; then chown postgres: ../data/server.crt ../data/server.key; fi
        """

    private static let access = """
        local all all trust
        host all postgres 127.0.0.1/32 trust
        hostssl all scram 127.0.0.1/32 scram-sha-256
        hostssl all certy 127.0.0.1/32 cert
        hostssl all asleep 127.0.0.1/32 trust
        """

    private static let certificates = """
        openssl req -new -x509 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
        openssl req -new -x509 -nodes -days 2 -subj /CN=another -keyout other.key -out other.crt
        openssl req -new -x509 -nodes -days 2 -subj /CN=certy -keyout strange.key -out strange.crt
        \(sign("server", "localhost"))
        \(sign("client", "certy"))
        openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days -1 -out expired.crt
        cp server.crt server.key ../data; cp ca.crt ../data/root.crt
        \(ownership)
        cat >../data/pg_hba.conf <<'END'
        \(access)
        END
        """
}

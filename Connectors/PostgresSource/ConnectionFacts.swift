private import CLibPQ
private import Glibc

/// How a connection came to its server: for `doctor`, which looks at what is not a matter of SQL.
struct ConnectionFacts: Equatable {
    /// The host or the socket's folder.
    var host: String
    /// The address behind ``host``; empty for a Unix socket.
    var address: String
    var port: String
    /// Such as `TLSv1.3`, or `GSS`; nil when what is sent can be read on its way.
    var encryption: String?
    /// The password file that libpq looks into, when it is there.
    var passwordFile: String?
    /// True when others than its owner may read ``passwordFile``, so that libpq leaves it alone.
    var passwordFileIsOpen = false

    /// True when nothing leaves this machine.
    var isLocal: Bool {
        address.isEmpty || host.hasPrefix("/") || address.hasPrefix("127.") || address == "::1"
    }

    /// In words: `db.example (10.0.0.1), port 5432, over TLSv1.3`.
    var description: String {
        if host.hasPrefix("/") || host.hasPrefix("@") { return "the socket in \(host), port \(port)" }
        let place = host == address || address.isEmpty ? host : "\(host) (\(address))"
        return "\(place), port \(port), " + (encryption.map { "over \($0)" } ?? "without encryption")
    }
}

extension PostgresConnection {
    /// What libpq says about this connection.
    var facts: ConnectionFacts {
        let handle = unsafe libpq
        func text(_ pointer: UnsafePointer<CChar>?) -> String {
            unsafe pointer.map { unsafe String(cString: $0) } ?? ""
        }
        var facts = ConnectionFacts(
            host: unsafe text(PQhost(handle)), address: unsafe text(PQhostaddr(handle)),
            port: unsafe text(PQport(handle)))
        if unsafe PQsslInUse(handle) != 0 {
            let version = unsafe text(PQsslAttribute(handle, "protocol"))
            facts.encryption = version.isEmpty ? "TLS" : version
        } else if unsafe PQgssEncInUse(handle) != 0 {
            facts.encryption = "GSS"
        }
        let file = unsafe ConnectionAttempt.option("passfile", of: handle) ?? ""
        var status = stat()
        if !file.isEmpty, unsafe stat(file, &status) == 0 {
            facts.passwordFile = file
            facts.passwordFileIsOpen = status.st_mode & (S_IRWXG | S_IRWXO) != 0
        }
        return facts
    }
}

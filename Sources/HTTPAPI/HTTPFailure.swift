internal import ConnectorKit
import Glibc
import NIOCore

/// What can go wrong with the listener itself. Each code stands in `docs/reference/errors.md`.
enum HTTPFailure {
    /// The address cannot be listened on.
    static func listen(_ address: String, _ error: any Error) -> ConnectorFailure {
        let number = (error as? IOError)?.errnoCode
        let reason = number.map { String(cString: strerror($0)) } ?? "\(type(of: error))"
        if number == EADDRINUSE {
            return ConnectorFailure(
                "http.address_in_use", .stop, "another program listens on \(address)", setting: "server.listen",
                hint: "see which one: ss -ltnp; stop it, or choose another port")
        }
        return ConnectorFailure(
            "http.listen", .stop, "cannot listen on \(address): \(reason)", setting: "server.listen",
            hint: number == EACCES
                ? "choose a port above 1023, which needs no privilege"
                : "name an address that this machine has: ip address shows them; 127.0.0.1 is always one")
    }

    /// The listener ended by itself.
    static func ended(_ address: String, _ error: (any Error)?) -> ConnectorFailure {
        ConnectorFailure(
            "http.listener_ended", .retry,
            "the listener on \(address) ended" + (error.map { ": \(reason($0))" } ?? ""), setting: "server.listen",
            hint: "look at the limit of open files: ulimit -n")
    }

    private static func reason(_ error: any Error) -> String {
        if let number = (error as? IOError)?.errnoCode { return String(cString: strerror(number)) }
        return "\(type(of: error))"
    }
}

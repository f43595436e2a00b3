internal import ConnectorKit

/// What a refused login means, and the exact line or statement that lets the role in.
extension PostgresFailure {
    /// The failure for SQLSTATE class 28.
    static func login(_ error: ServerError) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.authentication", .stop, "the server refused the login: \(error.message)", setting: url,
            hint: loginHint(error))
    }

    private static func loginHint(_ error: ServerError) -> String {
        let message = error.message
        let role = quoted("role \"", in: message) ?? quoted("user \"", in: message)
        let name = SQLText.identifier(role ?? "ROLE")
        if error.sqlState == "28P01" {
            let place = error.passwordFile.map { "it came from \($0)" } ?? "in the URL or PGPASSWORD"
            return "correct the password (\(place)), or set it on the server: ALTER ROLE \(name) PASSWORD '…'"
        }
        if message.contains("pg_hba.conf") { return accessHint(message) }
        if message.contains("does not exist") {
            return "correct the user in the URL, or CREATE ROLE \(name) LOGIN REPLICATION PASSWORD '…';"
        }
        if message.contains("not permitted to log in") { return "ALTER ROLE \(name) LOGIN;" }
        if message.contains("certificate") {
            return
                "pg_hba.conf asks for a client certificate: sslcert=FILE and sslkey=FILE name one whose CN is \(name)"
        }
        if message.hasPrefix("Peer") || message.hasPrefix("Ident") {
            return "the socket lets in only the system user of that name: run Millrace as it, map the two in "
                + "pg_ident.conf, or connect by TCP with a password (host=127.0.0.1)"
        }
        return "check user and password in the URL, and that pg_hba.conf lets this role and address in"
    }

    /// The line for pg_hba.conf. A walsender that is bound to a database needs a line for the database, not for
    /// `replication`.
    private static func accessHint(_ message: String) -> String {
        let words = [
            quoted("database \"", in: message).map(accessName) ?? "DATABASE",
            quoted("user \"", in: message).map(accessName) ?? "ROLE",
        ]
        let address = quoted("host \"", in: message) ?? "ADDRESS"
        let line: String
        if address == "[local]" {
            line = (["local"] + words + ["scram-sha-256"]).joined(separator: " ")
        } else {
            let kind = message.contains("SSL encryption") ? "hostssl" : "host"
            let range = address + (address.contains(":") ? "/128" : address == "ADDRESS" ? "" : "/32")
            line = ([kind] + words + [range, "scram-sha-256"]).joined(separator: " ")
        }
        let place = message.contains("rejects") ? "above the line that rejects it" : "at the server"
        let encryption =
            message.hasSuffix("no encryption") ? "; if it has hostssl lines, add sslmode=require to the URL" : ""
        return "add to pg_hba.conf \(place): \(line), then SELECT pg_reload_conf()\(encryption)"
    }

    /// A name as pg_hba.conf takes it: keywords and anything unusual in quotes.
    private static func accessName(_ name: String) -> String {
        let isPlain = name.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || $0 == UInt8(ascii: "_")
        }
        let keywords: Set = ["all", "sameuser", "samerole", "samegroup", "replication"]
        return isPlain && !keywords.contains(name) ? name : "\"\(name)\""
    }

    /// What stands between `prefix`, which ends with a quote, and the next quote.
    private static func quoted(_ prefix: String, in text: String) -> String? {
        let parts = text.split(separator: prefix, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let name = parts[1].split(separator: "\"", omittingEmptySubsequences: false).first
        else {
            return nil
        }
        return name.isEmpty ? nil : String(name)
    }
}

import Foundation

/// An authority with certificates for servers and a client, in a folder: `NAME.crt` and `NAME.key` for `ca`, `other`
/// (an authority that nobody trusts), `local` (localhost), `address` (127.0.0.1), `elsewhere`, `expired` and `client`.
package struct CertificateAuthority {
    private let folder: TemporaryFolder

    package init() throws {
        folder = try TemporaryFolder()
        let script = """
            cd \(folder.url.path)
            openssl req -new -x509 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
            openssl req -new -x509 -nodes -days 2 -subj /CN=other -keyout other.key -out other.crt
            issue() {
                openssl req -new -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
                printf 'subjectAltName=%s\\n' "$2" >"$1.ext"
                openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "$3" \\
                    -extfile "$1.ext" -out "$1.crt"
            }
            issue local DNS:localhost 2
            issue address IP:127.0.0.1 2
            issue elsewhere DNS:elsewhere.example 2
            issue expired DNS:localhost -1
            issue client DNS:client 2
            """
        let made = try runProgram("/bin/sh", ["-euc", script])
        guard made.exitCode == 0 else { throw ChildFailure(description: made.errors) }
    }

    /// Where a file of it is.
    package func path(_ name: String) -> String { folder.path(name) }
}

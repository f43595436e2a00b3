import ConnectorKit
import Foundation
import ProgramTesting
import Testing

@testable import NATSSink

/// Certificates: whom the sink believes, and that the name is always checked.
struct NATSTLSTests {
    private func opening(
        _ servers: [String], _ authority: CertificateAuthority, ca: String = "ca.crt", client: String? = nil
    ) async throws -> ConnectorFailure? {
        var tls = SettingValues(["ca": .text(authority.path(ca))])
        if let client {
            tls["certificate"] = .text(authority.path(client + ".crt"))
            tls["key"] = .text(authority.path(client + ".key"))
        }
        let sink = NATSSink(try natsSettings(servers, ["tls": .group(tls)]), contentType: "application/json")
        let found = try await failure { try await sink.open(CursorStore().context) }
        await sink.close()
        return found
    }

    @Test func theNameInTheCertificateMustBeTheServers() async throws {
        let authority = try CertificateAuthority()
        let local = try authority.server("local")
        #expect(try await opening(["tls://localhost:\(local.port)"], authority) == nil)
        // The certificate is for localhost and not for the address; with neither scheme is the check left out.
        for scheme in ["tls", "nats"] {
            let found = try #require(try await opening(["\(scheme)://127.0.0.1:\(local.port)"], authority))
            #expect(found.code == "nats.tls_failed" && found.remedy == .stop, "\(found)")
        }
        let address = try authority.server("address")
        #expect(try await opening(["tls://127.0.0.1:\(address.port)"], authority) == nil)
        #expect(try await opening(["tls://localhost:\(address.port)"], authority)?.code == "nats.tls_failed")
    }

    @Test func eachServerIsCheckedAgainstItsOwnName() async throws {
        let authority = try CertificateAuthority()
        let elsewhere = try authority.server("elsewhere")
        let local = try authority.server("local")
        // The first server's certificate is for another name; the second's is for its own.
        let servers = ["tls://127.0.0.1:\(elsewhere.port)", "tls://localhost:\(local.port)"]
        #expect(try await opening(servers, authority) == nil)
        // Certificates for the name of the other server count for nothing.
        let swapped = ["tls://127.0.0.1:\(local.port)", "tls://localhost:\(elsewhere.port)"]
        #expect(try await opening(swapped, authority)?.code == "nats.tls_failed")
    }

    /// The address says nats://, the server insists on TLS: the client follows it, and the checks must be there.
    @Test func anAuthorityThatIsNotTrustedIsRefused() async throws {
        let authority = try CertificateAuthority()
        let local = try authority.server("local")
        for scheme in ["tls", "nats"] {
            let found = try await opening(["\(scheme)://localhost:\(local.port)"], authority, ca: "other.crt")
            #expect(found?.code == "nats.tls_failed", "\(scheme)")
        }
        let sink = NATSSink(try natsSettings(["nats://localhost:\(local.port)"]), contentType: "application/json")
        let found = try await failure { try await sink.open(CursorStore().context) }
        #expect(found?.code == "nats.tls_failed")
    }

    @Test func aClientCertificateIsShown() async throws {
        let authority = try CertificateAuthority()
        let server = try authority.server("local", wantsClients: true)
        #expect(try await opening(["tls://localhost:\(server.port)"], authority, client: "client") == nil)
        let found = try #require(try await opening(["tls://localhost:\(server.port)"], authority))
        #expect(found.code == "nats.tls_failed" || found.code == "nats.unreachable", "\(found)")
    }

    @Test func filesThatAreNotThereAreNamed() async throws {
        let authority = try CertificateAuthority()
        let found = try #require(try await opening(["tls://localhost:1"], authority, ca: "nothing.crt"))
        #expect(found.code == "nats.bad_credentials" && found.setting == "sinks.broker.nats.tls.ca")
    }
}

extension CertificateAuthority {
    /// A server that shows a certificate, and wants one when `wantsClients`.
    fileprivate func server(_ name: String, wantsClients: Bool = false) throws -> NATSServer {
        let verify = wantsClients ? "ca_file: \"\(path("ca.crt"))\", verify: true" : ""
        let files = "cert_file: \"\(path(name + ".crt"))\", key_file: \"\(path(name + ".key"))\""
        return try NATSServer("tls { \(files), timeout: 10, \(verify) }")
    }
}

import ByteKit
import Testing

@testable import WebhookSink

/// The vectors of Standard Webhooks.
struct SignerTests {
    private let shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    private let privateKey = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
    private let v1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    private let v1a =
        "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="

    private func signatures(_ secrets: [String], times: Int = 1) throws -> String {
        let signer = try Signer(try secrets.map { try WebhookSecret($0) })
        var last = ""
        for _ in 0..<times {
            var output = OutputBuffer()
            let prefix = Array("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.".utf8)
            try signer.append(
                signaturesOf: prefix.rawBytes, Array(#"{"test": 2432232314}"#.utf8).rawBytes, to: &output)
            last = String(validatingUTF8: output.bytes) ?? ""
        }
        return last
    }

    @Test func sharedSecretsSignAsTheReferenceDoes() throws { #expect(try signatures([shared]) == v1) }

    @Test func privateKeysSignAsTheReferenceDoes() throws { #expect(try signatures([privateKey]) == v1a) }

    @Test func everySecretSignsWhileTheyAreRotated() throws {
        let signatures = try signatures([shared, privateKey, shared])
        #expect(signatures == "\(v1) \(v1) \(v1a)")
    }

    @Test func aSignerSignsManyTimes() throws {
        #expect(try signatures([shared, privateKey], times: 3) == "\(v1) \(v1a)")
    }

    @Test(arguments: [
        "", "secret", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", "whpk_ZlN4eg7dSSqi0moX9hQUk3orrOouK3QVQSlJa248c/g=",
        "whsk_c2hvcnQ=", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwa",
    ])
    func whatIsNoSecretIsRefusedWithoutBeingQuoted(text: String) {
        do {
            _ = try WebhookSecret(text)
            Issue.record("\(text) was taken")
        } catch {
            #expect(text.count < 10 || !error.reason.contains(text.dropFirst(6)))
        }
    }

    @Test func aPrivateKeyMayBringItsPublicKey() throws {
        let seed = try WebhookSecret(privateKey).key
        var output = OutputBuffer()
        output.append(base64: (seed + [UInt8](repeating: 7, count: 32)).rawBytes)
        #expect(try WebhookSecret("whsk_" + (String(validatingUTF8: output.bytes) ?? "")).key == seed)
    }
}

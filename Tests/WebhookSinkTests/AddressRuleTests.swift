import ConnectorKit
import Testing

@testable import WebhookSink

struct AddressRuleTests {
    private func isPrivate(_ host: String) -> Bool? { WebhookURL("https://\(host)/")?.isPrivateAddress }

    @Test(arguments: [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.0.0.8", "198.18.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd12:3456::1]", "[ff02::1]",
        "[::ffff:127.0.0.1]", "[::ffff:10.1.2.3]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]",
        "[2002:7f00:1::]", "[2001:db8::1]", "[2001::1]", "[::ffff:0:127.0.0.1]", "[100::1]",
    ])
    func addressesOfSpecialPurposeAreNotPublic(host: String) { #expect(isPrivate(host) == true) }

    @Test(arguments: [
        "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1", "223.255.255.255",
        "[2606:4700::1]", "[::ffff:8.8.8.8]", "[64:ff9b::808:808]", "[2002:808:808::]", "[2001:4860:4860::8888]",
    ])
    func otherAddressesArePublic(host: String) { #expect(isPrivate(host) == false) }

    /// libcurl reads them as the system's resolver does, so they must not pass as names.
    @Test(arguments: ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1."])
    func oddSpellingsOfAddressesAreSeenThrough(host: String) async throws {
        var settings = try SinkFixture.settings(1)
        settings.allowsPrivateAddresses = false
        guard let url = WebhookURL("http://\(host):9/") else { return }
        if url.isPrivateAddress { return }
        settings.url = url
        let finding = await WebhookDoctor.findings(settings)[0]
        #expect(["webhook.address_refused", "webhook.connection_failed"].contains(finding.code), "\(finding)")
    }

    @Test func namesAreLookedAtWhenTheyAreConnectedTo() async throws {
        var settings = try SinkFixture.settings(1)
        settings.allowsPrivateAddresses = false
        settings.url = try #require(WebhookURL("http://localhost:9/"))
        #expect(await WebhookDoctor.findings(settings)[0].code == "webhook.address_refused")
    }

    @Test func anAddressThatIsNotPublicIsRefusedWithTheConfiguration() throws {
        #expect(throws: SettingProblem.self) {
            try SinkFixture.settings(80, ["allow_private_addresses": .flag(false)])
        }
    }
}

import ConnectorKit
import Testing

@testable import WebhookSink

struct WebhookSettingsTests {
    private func problem(_ values: [String: SettingValue]) -> SettingProblem? {
        do throws(SettingProblem) {
            _ = try WebhookSettings(
                values: SettingValues(["url": .text("https://partner.example/hooks")].merging(values) { $1 }),
                pipelineName: "shop")
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        "", "partner.example/hooks", "ftp://partner.example/", "https://", "https:///hooks", "file:///etc/passwd",
        "https://partner.example/a b", "https://partner.example/\n", "gopher://x", "https://user:top-secret@",
        "https://müller.example/hooks", "https://a..b/", "https://.b/", "https://partner.example:0/",
    ])
    func whatIsNoAddressIsRefusedWithoutBeingQuoted(url: String) {
        let problem = problem(["url": .text(url)])
        #expect(problem?.setting == "url" && problem?.message == "is no HTTP address")
    }

    @Test func messagesShowTheOriginAlone() throws {
        let url = try #require(WebhookURL("https://me:top@partner.example:8443/hooks/T0KEN?key=1"))
        #expect(url.origin == "https://partner.example:8443" && url.credentials == "me:top" && url.port == 8443)
        #expect(WebhookURL("http://[::1]/x")?.origin == "http://[::1]")
    }

    @Test(arguments: [
        ["Content-Type": "x"], ["webhook-id": "x"], ["ce-type": "x"], ["a b": "x"], ["": "x"], ["X": "a\r\nb"],
        ["X": "1", "x": "2"], ["Host": "other"],
    ])
    func headersThatWouldBreakRequestsAreRefused(headers: [String: String]) {
        #expect(problem(["headers": .map(headers)])?.setting.hasPrefix("headers") == true)
    }

    @Test func authenticationIsOneOfItsKinds() {
        func authentication(_ values: [String: SettingValue]) -> SettingProblem? {
            problem(["authentication": .group(SettingValues(values))])
        }
        #expect(authentication(["bearer": .text("token")]) == nil)
        #expect(authentication(["user": .text("me")]) == nil)
        #expect(authentication(["bearer": .text("token"), "user": .text("me")]) != nil)
        #expect(authentication(["bearer": .text("to ken")]) != nil)
        #expect(authentication(["password": .text("x")]) != nil)
        #expect(authentication(["user": .text("a:b")]) != nil)
        #expect(
            problem([
                "authentication": .group(SettingValues(["bearer": .text("t")])),
                "headers": .map(["Authorization": "x"]),
            ]) != nil)
    }

    @Test func everythingThatIsWrongIsSaidTogether() {
        var values = SettingValues(["url": .text("nowhere"), "timeout": .duration(.zero), "proxy": .text("nonsense")])
        values["batch"] = .group(SettingValues(["records": .integer(5)]))
        values.note(given: "batch")
        let problem = #expect(throws: SettingProblem.self) {
            _ = try WebhookSettings(values: values, pipelineName: "shop")
        }
        #expect(problem?.all.map(\.setting) == ["url", "batch", "proxy", "timeout", "connect_timeout"])
    }

    @Test func aBatchSizeWithoutTheModeBatchIsRefusedAndADefaultIsNot() {
        let group = SettingValue.group(SettingValues(["records": .integer(5)]))
        #expect(problem(["batch": group]) == nil, "the file did not say it")
        var values = SettingValues(["url": .text("https://partner.example/"), "batch": group])
        values.note(given: "batch")
        #expect(throws: SettingProblem.self) { _ = try WebhookSettings(values: values, pipelineName: "shop") }
        values["mode"] = .text("batch")
        #expect(throws: Never.self) { _ = try WebhookSettings(values: values, pipelineName: "shop") }
    }

    @Test func limitsMakeSense() {
        #expect(problem(["timeout": .duration(.zero)])?.setting == "timeout")
        #expect(problem(["max_request_size": .size(0)])?.setting == "max_request_size")
        #expect(problem(["window": .group(SettingValues(["size": .size(1)]))])?.setting == "window.size")
        let retry = SettingValues(["initial": .duration(.seconds(9)), "max": .duration(.seconds(3))])
        #expect(problem(["retry": .group(retry)])?.setting == "retry.max")
        #expect(problem(["tls": .group(SettingValues(["key": .text("k.pem")]))])?.setting == "tls.certificate")
        #expect(problem(["proxy": .text("nonsense")])?.setting == "proxy")
    }
}

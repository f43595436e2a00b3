import PipelineConfiguration
import Testing

/// The section `server`.
struct ServerSettingTests {
    private let token = "0123456789abcdef"
    private func withServer(_ rest: String) -> String { "name: a\nsource: {sqlite: {path: x}}\n" + rest }

    @Test func withoutTheSectionNothingListens() throws {
        #expect(try load(withServer("")).server == nil)
    }

    @Test func anEmptySectionListensOnThisMachineOnly() throws {
        for text in ["server:\n", "server: {}\n", "server: {token: \"${EMPTY:-}\"}\n"] {
            let server = try #require(try load(withServer(text)).server)
            #expect(server.listen.description == "127.0.0.1:8642" && server.listen.isLoopback && server.token == nil)
        }
    }

    @Test func addressesAreReadWithTheirPorts() throws {
        let cases = [
            ("127.0.0.1:8642", "127.0.0.1", 8642, true), ("localhost:0", "127.0.0.1", 0, true),
            ("127.9.8.7:1", "127.9.8.7", 1, true), ("[::1]:65535", "::1", 65535, true),
            ("0.0.0.0:80", "0.0.0.0", 80, false), ("[::]:80", "::", 80, false), ("10.0.0.1:80", "10.0.0.1", 80, false),
            ("[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, false),
        ]
        for (text, host, port, isLoopback) in cases {
            let address = try #require(ListenAddress(text), "\(text)")
            #expect(address.host == host && address.port == port && address.isLoopback == isLoopback, "\(text)")
        }
        for text in [
            "", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+1", "127.0.0.1: 1", "::1:80",
            "[::1]", "[127.0.0.1]:80", "1.2.3:80", "example.org:80", "127.0.0.1:99999999999999999999", "[::1%lo]:1",
        ] {
            #expect(ListenAddress(text) == nil, "\(text)")
        }
    }

    @Test func anAddressThatOthersReachNeedsAToken() throws {
        let text = "server: {listen: \"0.0.0.0:8642\"}\n"
        let hint = "(add token: ${MILLRACE_TOKEN}, with what openssl rand -hex 32 prints, or listen on 127.0.0.1)"
        #expect(
            problems(withServer(text)) == [
                "config.missing_key server.listen 3:18 other machines reach 0.0.0.0:8642, and \"token\" is missing "
                    + hint
            ])
        let server = try load(withServer("server: {listen: \"0.0.0.0:8642\", token: \(token)}\n")).server
        #expect(server?.token == token && server?.listen.isLoopback == false)
    }

    @Test func weakTokensAndUnreadableAddressesAreRefusedWithoutShowingTheToken() {
        let hint = "(openssl rand -hex 32 prints a good one)"
        #expect(
            problems(withServer("server: {listen: \"[::]:1\", token: hunter2}\n")) == [
                "config.bad_value server.token 3:35 the token is shorter than 16 characters \(hint)"
            ])
        #expect(
            problems(withServer("server: {token: \"0123456789 abcdef\", listen: example.org}\n")) == [
                "config.bad_value server.token 3:17 the token has other characters than visible ASCII ones \(hint)",
                "config.bad_value server.listen 3:46 \"listen\" is not an IP address and a port"
                    + " (such as 127.0.0.1:8642, [::1]:8642 or 0.0.0.0:8642)",
            ])
    }

    @Test func theTokenIsASecret() throws {
        let configuration = try load(withServer("server: {token: \(token)}\n"))
        #expect(configuration.redacting("x \(token) y") == "x [secret] y")
        #expect(!"\(configuration)".contains(token))
    }
}

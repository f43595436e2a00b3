import Testing

@testable import HTTPAPI

/// Who may ask.
struct AccessRuleTests {
    private let token = "0123456789abcdef"

    private func status(
        _ rule: AccessRule, _ method: APIRequest.Method = .get, authorization: String? = nil,
        host: String? = "127.0.0.1:8642", origin: String? = nil
    ) -> Int {
        do throws(HTTPProblem) {
            try rule.check(method, .init(authorization: authorization, host: host, origin: origin))
            return 200
        } catch {
            return error.status
        }
    }

    @Test func theTokenOpensAsBearerAndAsPassword() {
        let rule = AccessRule(token: token)
        // printf 'user:0123456789abcdef' | base64, and with an empty user, and without padding
        for shown in [
            "Bearer 0123456789abcdef", "bearer  0123456789abcdef", "Basic dXNlcjowMTIzNDU2Nzg5YWJjZGVm",
            "BASIC OjAxMjM0NTY3ODlhYmNkZWY=", "Basic OjAxMjM0NTY3ODlhYmNkZWY",
        ] {
            #expect(status(rule, authorization: shown) == 200, "\(shown)")
        }
    }

    @Test func anythingElseDoesNot() {
        let rule = AccessRule(token: token)
        for shown in [
            nil, "", "Bearer", "Bearer ", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer x",
            "Bearer 0123456789abcdef0123456789abcdef", "0123456789abcdef", "Basic", "Basic !!!!", "Basic ====",
            "Basic dXNlcg==", "Digest 0123456789abcdef", "Bearer 0123456789ABCDEF", "Bearer 0123456789abcdef x",
            "Basic dXNlcjp4OjAxMjM0NTY3ODlhYmNkZWY=",
        ] {
            #expect(status(rule, authorization: shown) == 401, "\(shown ?? "nothing")")
        }
    }

    @Test func withoutATokenOnlyNamesOfThisMachineAreAnswered() {
        let rule = AccessRule(token: nil)
        for host in [nil, "localhost", "LocalHost:1", "127.0.0.1", "127.1.2.3:8642", "[::1]", "[::1]:8642"] {
            #expect(status(rule, host: host) == 200, "\(host ?? "none")")
        }
        for host in [
            "evil.example", "evil.example:8642", "127.0.0.1.evil.example", "localhost.evil", "[::2]:1", "", "::1",
        ] {
            #expect(status(rule, host: host) == 403, "\(host)")
        }
        #expect(status(AccessRule(token: token), authorization: "Bearer \(token)", host: "registry.example") == 200)
    }

    @Test func pagesOfOtherOriginsChangeNothing() {
        for rule in [AccessRule(token: nil), AccessRule(token: token)] {
            for origin in ["https://evil.example", "null", "http://127.0.0.1:9999", ""] {
                for method in [APIRequest.Method.post, .put, .delete] {
                    #expect(status(rule, method, authorization: "Bearer \(token)", origin: origin) == 403)
                }
                #expect(status(rule, .get, authorization: "Bearer \(token)", origin: origin) == 200)
            }
            #expect(status(rule, .post, authorization: "Bearer \(token)", origin: "http://127.0.0.1:8642") == 200)
        }
    }
}

import JSONText
import Testing

@testable import HTTPAPI

struct RouteTableTests {
    private func table() -> RouteTable {
        func route(_ method: APIRequest.Method, _ pattern: String) -> Route {
            Route(method, pattern) { _, parts in
                APIReply(["pattern": .string(pattern), "parts": .array(parts.map { .string($0) })])
            }
        }
        return RouteTable([
            route(.get, "schemas/types"), route(.get, "schemas/{}"), route(.get, "subjects/{}/versions/{}"),
            route(.delete, "subjects/{}/versions/{}"),
            Route(.get, "bad") { _, _ throws(HTTPProblem) in throw HTTPProblem(422, code: 42201, "no") },
        ])
    }

    private func answer(_ method: APIRequest.Method, _ target: String) async throws -> APIReply {
        await table().reply(to: try APIRequest(method, target: target))
    }

    private func text(_ reply: APIReply) -> String { String(decoding: reply.body, as: UTF8.self) }

    @Test func theFirstPatternThatFitsHolds() async throws {
        #expect(text(try await answer(.get, "/schemas/types")) == #"{"pattern":"schemas/types","parts":[]}"#)
        #expect(text(try await answer(.get, "/schemas/%74ypes")) == #"{"pattern":"schemas/types","parts":[]}"#)
        #expect(text(try await answer(.get, "/schemas/x")) == #"{"pattern":"schemas/{}","parts":["x"]}"#)
        #expect(
            text(try await answer(.get, "/subjects/a%2Fb/versions/1/"))
                == #"{"pattern":"subjects/{}/versions/{}","parts":["a/b","1"]}"#)
    }

    @Test func otherPathsAndMethodsAreRefused() async throws {
        for target in ["/", "/schemas", "/schemas/", "/schemas//", "/subjects//versions/1", "/schemas/x/y", "/%7B%7D"] {
            #expect(try await answer(.get, target).status == 404, "\(target)")
        }
        let reply = try await answer(.put, "/subjects/a/versions/1")
        #expect(reply.status == 405)
        #expect(reply.fields == [APIReply.Field("Allow", "GET, HEAD, DELETE")])
    }

    @Test func problemsBecomeAnswersWithTheirCodes() async throws {
        let reply = try await answer(.get, "/bad")
        #expect(reply.status == 422)
        #expect(text(reply) == #"{"error_code":42201,"message":"no"}"#)
    }
}

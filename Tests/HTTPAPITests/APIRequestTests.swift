import Testing

@testable import HTTPAPI

struct APIRequestTests {
    private func path(_ target: String) throws(HTTPProblem) -> [String] { try APIRequest(.get, target: target).path }

    @Test func partsOfThePathAreDecodedOneByOne() throws {
        #expect(try path("/") == [])
        #expect(try path("/subjects") == ["subjects"])
        #expect(try path("/subjects/") == ["subjects"])
        #expect(try path("/subjects/a%2Fb/versions") == ["subjects", "a/b", "versions"])
        #expect(try path("/subjects/..%2f..%2Fetc/versions") == ["subjects", "../../etc", "versions"])
        #expect(try path("/a//b") == ["a", "", "b"])
        #expect(try path("/%C3%BC+%20x") == ["ü+ x"])
        #expect(try path("/%00") == ["\0"])
    }

    @Test func escapesThatAreNoneAreRefusedInThePath() {
        for target in ["/%", "/%2", "/%zz", "/a%", "/%FF", "/%C3", "/%C3%28", "/%ED%A0%80", "subjects", "", "*"] {
            #expect(throws: HTTPProblem.self, "\(target)") { try path(target) }
        }
    }

    @Test func parametersAreReadLeniently() throws {
        let request = try APIRequest(.get, target: "/x?a=1&b=x%20y+z&a=2&c&=d&bad=%zz&deleted=True&limit=-1&e=f=g")
        #expect(
            request.query == ["a": "1", "b": "x y z", "c": "", "": "d", "deleted": "True", "limit": "-1", "e": "f=g"])
        #expect(request.hasUnreadableParameters && request.repeated == ["a"])
        #expect(request.flag("deleted") && !request.flag("a") && !request.flag("missing"))
        #expect(request.number("limit") == -1 && request.number("b") == nil && request.number("missing") == nil)
        #expect(try !APIRequest(.get, target: "/x?normalize=False").flag("normalize"))
        #expect(try APIRequest(.get, target: "/x?").query.isEmpty)
        for target in ["/x?tables=%zz", "/x?tables=a%", "/x?%FF=1", "/x?tables=%FF"] {
            #expect(try APIRequest(.get, target: target).hasUnreadableParameters, "\(target)")
        }
        #expect(try !APIRequest(.get, target: "/x?tables=a%2A").hasUnreadableParameters)
        #expect(try APIRequest(.get, target: "/x?a?b=c").query == ["a?b": "c"])
    }
}

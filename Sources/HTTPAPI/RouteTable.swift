/// What a path and a method lead to.
package struct Route: Sendable {
    /// Answers a request; `parts` are what stands in the pattern's `{}`, in their order.
    package typealias Answer =
        @Sendable (_ request: APIRequest, _ parts: [String]) async throws(HTTPProblem) -> APIReply

    let method: APIRequest.Method
    let pattern: [Substring]
    let answer: Answer
    /// True when no token is asked for.
    let isOpen: Bool
    /// True when the answer may take its time: it is cancelled when the client goes or the listener stops.
    let isPatient: Bool
    /// True when bodies are JSON whatever their type says: `curl -d` calls everything a form. Pages of other origins,
    /// which could send forms without asking, are refused anyway.
    let takesAnyType: Bool

    /// A route for a pattern such as `subjects/{}/versions`, where `{}` stands for any part that is not empty.
    package init(
        _ method: APIRequest.Method, _ pattern: String, isOpen: Bool = false, isPatient: Bool = false,
        takesAnyType: Bool = false, _ answer: @escaping Answer
    ) {
        self.method = method
        self.pattern = pattern.split(separator: "/")
        self.isOpen = isOpen
        self.isPatient = isPatient
        self.takesAnyType = takesAnyType
        self.answer = answer
    }

    /// What stands for the pattern's `{}`; nil for a path that is another.
    fileprivate func parts(of path: [String]) -> [String]? {
        guard path.count == pattern.count else { return nil }
        var parts: [String] = []
        for (part, expected) in zip(path, pattern) {
            if expected == "{}" {
                guard !part.isEmpty else { return nil }
                parts.append(part)
            } else if part != expected {
                return nil
            }
        }
        return parts
    }
}

/// All routes. Of several that fit a path, the first holds.
package struct RouteTable: Sendable {
    private let routes: [Route]

    /// A table of these routes.
    package init(_ routes: [Route]) { self.routes = routes }

    /// A route with what its pattern left open.
    struct Match {
        var route: Route
        var parts: [String]
    }

    /// The route of a request. Throws 404 for a path that leads nowhere and 405 for one that has other methods only.
    func match(_ request: APIRequest) throws(HTTPProblem) -> Match {
        var others: [APIRequest.Method] = []
        for route in routes {
            guard let parts = route.parts(of: request.path) else { continue }
            if route.method == request.method { return Match(route: route, parts: parts) }
            others.append(route.method)
        }
        if others.isEmpty { throw .notFound() }
        throw .method(allowed: others)
    }

    /// Answers a request, whatever the client may.
    package func reply(to request: APIRequest) async -> APIReply {
        do throws(HTTPProblem) {
            let match = try match(request)
            return try await match.route.answer(request, match.parts)
        } catch {
            return APIReply(error)
        }
    }
}

extension HTTPProblem {
    fileprivate static func method(allowed: [APIRequest.Method]) -> HTTPProblem {
        let names = allowed.flatMap { $0 == .get ? ["GET", "HEAD"] : [$0.rawValue] }.joined(separator: ", ")
        return HTTPProblem(405, "the path takes \(names) only", fields: [APIReply.Field("Allow", names)])
    }
}

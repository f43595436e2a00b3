import Foundation
import ProgramTesting
import Testing

/// The registry's interface, request by request.
@Suite(.serialized)
struct RegistryRESTTests {
    private typealias Place = RegistryPlace

    @Test func everyAnswerHasTheMembersThatClientsRead() throws {
        let place = try Place()
        let id = try place.register(Place.schema("a"), "s")
        let schema =
            #"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"additionalProperties\":false}"#
        let raw = schema.replacing("\\\"", with: "\"")
        let content = #""schemaType":"JSON","schema":"\#(schema)""#
        let version = try place.client.ask("GET", "/subjects/s/versions/1")
        let guid = try #require(version.object["guid"] as? String)
        let whole = #"{"subject":"s","version":1,"id":\#(id),"guid":"\#(guid)",\#(content)}"#
        #expect(version.body == whole)
        #expect(version.fields["content-type"] == "application/vnd.schemaregistry.v1+json")
        for target in ["/subjects/s/versions/latest", "/subjects/s/versions/-1", "/subjects/:.:s/versions/1/"] {
            #expect(try place.outcome("GET", target) == "200 \(whole)", "\(target)")
        }
        #expect(try place.outcome("POST", "/subjects/s", Place.body(Place.schema("a"))) == "200 \(whole)")
        #expect(try place.outcome("GET", "/schemas") == "200 [\(whole)]")
        #expect(try place.outcome("GET", "/schemas?subjectPrefix=x&latestOnly=true") == "200 []")
        #expect(try place.outcome("GET", "/schemas/ids/\(id)") == "200 {\(content)}")
        #expect(
            try place.outcome("GET", "/schemas/ids/\(id)?fetchMaxId=true&subject=s")
                == "200 {\(content),\"maxId\":\(id)}")
        #expect(try place.outcome("GET", "/schemas/guids/\(guid)") == "200 {\"guid\":\"\(guid)\",\(content)}")
        #expect(try place.outcome("GET", "/schemas/ids/\(id)/schema") == "200 \(raw)")
        #expect(try place.outcome("GET", "/subjects/s/versions/1/schema") == "200 \(raw)")
        #expect(try place.outcome("GET", "/schemas/ids/\(id)/subjects") == #"200 ["s"]"#)
        #expect(try place.outcome("GET", "/schemas/ids/\(id)/versions") == #"200 [{"subject":"s","version":1}]"#)
        #expect(try place.outcome("GET", "/subjects/s/versions/1/referencedby") == "200 []")
        #expect(try place.outcome("GET", "/schemas/types") == #"200 ["JSON"]"#)
        #expect(try place.outcome("GET", "/contexts") == #"200 ["."]"#)
        #expect(try place.client.ask("GET", "/v1/metadata/id").object["id"] == "shop" as NSString)
        #expect(try place.client.ask("GET", "/v1/metadata/version").object["commitId"] != nil)
    }

    @Test func aClientThatMayNotKnowMoreGetsTheIdAlone() throws {
        let place = try Place()
        let body = Place.body(Place.schema("a"))
        #expect(Set(try place.client.ask("POST", "/subjects/s/versions", body).object.keys) == ["id"])
        for field in ["Confluent-Accept-Unknown-Properties: true", "X-Confluent-Accept-Unknown-Properties: True"] {
            let answer = try place.client.ask("POST", "/subjects/s/versions", body, fields: [field])
            #expect(
                Set(answer.object.keys) == ["subject", "version", "id", "guid", "schemaType", "schema"],
                "\(answer.body)")
        }
    }

    @Test func listsAreFilteredAndCutIntoPages() throws {
        let place = try Place()
        for name in ["a1", "a2", "b1"] { try place.register(Place.schema(name), name) }
        try place.register(Place.schema("x", isOpen: true), "a1", #", "version": -1"#)
        let cases = [
            ("/subjects", #"["a1","a2","b1"]"#), ("/subjects?subjectPrefix=a", #"["a1","a2"]"#),
            ("/subjects?subjectPrefix=:*:", #"["a1","a2","b1"]"#), ("/subjects?subjectPrefix=:*:b", #"["b1"]"#),
            ("/subjects?offset=1&limit=1", #"["a2"]"#), ("/subjects?offset=9", "[]"), ("/subjects?limit=0", "[]"),
            ("/subjects?offset=-5&limit=-1", #"["a1","a2","b1"]"#),
            ("/subjects?nonsense=%zz&limit=x", #"["a1","a2","b1"]"#),
            ("/subjects/a1/versions", "[1,2]"), ("/subjects/a1/versions?offset=1&limit=5&deleted=False", "[2]"),
        ]
        for (target, expected) in cases { #expect(try place.outcome("GET", target) == "200 \(expected)", "\(target)") }
        #expect(try place.client.ask("GET", "/schemas?latestOnly=true").json as? [[String: NSObject]] != nil)
    }

    @Test func everyRefusalHasItsCode() throws {
        let place = try Place()
        let id = try place.register(Place.schema("a"), "s")
        try place.register(Place.schema("b"), "part")
        try place.register(
            #"{"properties": {"p": {"$ref": "part.json"}}}"#, "user",
            #", "references": [{"name": "part.json", "subject": "part", "version": 1}]"#)
        let body = Place.body(Place.schema("a"))
        let cases: [(String, String, String?, String)] = [
            ("GET", "/subjects/none/versions", nil, "404 40401"),
            ("GET", "/subjects/none/versions/1", nil, "404 40401"),
            ("DELETE", "/subjects/none", nil, "404 40401"), ("DELETE", "/subjects/none/versions/1", nil, "404 40401"),
            ("POST", "/subjects/none", body, "404 40401"),
            ("GET", "/subjects/s/versions/2", nil, "404 40402"),
            ("GET", "/subjects/s/versions/2/schema", nil, "404 40402"),
            ("DELETE", "/subjects/s/versions/2", nil, "404 40402"),
            ("POST", "/compatibility/subjects/s/versions/7", body, "404 40402"),
            ("GET", "/schemas/ids/77", nil, "404 40403"), ("GET", "/schemas/ids/77/schema", nil, "404 40403"),
            ("GET", "/schemas/ids/77/subjects", nil, "404 40403"),
            ("GET", "/schemas/ids/77/versions", nil, "404 40403"),
            ("GET", "/schemas/guids/c0ffee", nil, "404 40403"),
            ("POST", "/subjects/s", Place.body(Place.schema("z")), "404 40403"),
            ("DELETE", "/subjects/s?permanent=true", nil, "404 40405"),
            ("DELETE", "/subjects/s/versions/1?permanent=true", nil, "404 40407"),
            ("GET", "/config/s", nil, "404 40408"), ("GET", "/mode/s", nil, "404 40409"),
            ("DELETE", "/mode/s", nil, "404 40409"),
            ("POST", "/subjects/s/versions", Place.body(Place.schema("a", "integer")), "409 40901"),
            ("POST", "/subjects/s/versions", #"{"schema": "{}"}"#, "422 42201"),
            ("POST", "/subjects/s/versions", #"{"schemaType": "JSON"}"#, "422 42201"),
            ("POST", "/subjects/s/versions", Place.body(#"{"type": 7}"#), "422 42201"),
            ("POST", "/subjects/s/versions", Place.body(#"{"type""#), "422 42201"),
            ("POST", "/subjects/s/versions", Place.body(#"{"$ref": "elsewhere.json"}"#), "422 42201"),
            ("POST", "/subjects/s", Place.body("["), "422 42201"),
            ("POST", "/compatibility/subjects/s/versions/latest", Place.body("["), "422 42201"),
            ("GET", "/subjects/s/versions/0", nil, "422 42202"), ("GET", "/subjects/s/versions/-2", nil, "422 42202"),
            ("GET", "/subjects/s/versions/x", nil, "422 42202"),
            ("DELETE", "/subjects/s/versions/99999999999999999999", nil, "422 42202"),
            ("PUT", "/config", #"{"compatibility": "SIDEWAYS"}"#, "422 42203"), ("PUT", "/config/s", "{}", "422 42203"),
            ("PUT", "/mode", #"{"mode": "SLEEPING"}"#, "422 42204"), ("PUT", "/mode/s", #"{"mode": 1}"#, "422 42204"),
            ("DELETE", "/subjects/part", nil, "422 42206"), ("DELETE", "/subjects/part/versions/1", nil, "422 42206"),
            ("GET", "/schemas/ids/x", nil, "404 404"), ("GET", "/schemas/ids/-1", nil, "404 404"),
            ("GET", "/nowhere", nil, "404 404"), ("PUT", "/subjects", "{}", "405 405"),
            ("PATCH", "/subjects", nil, "501 501"),
            ("POST", "/subjects/s/versions", "{", "400 400"), ("POST", "/subjects/s/versions", "[]", "400 400"),
            ("POST", "/subjects/s/versions", "", "400 400"), ("GET", "/subjects/%zz/versions", nil, "400 400"),
            ("GET", "/subjects/%FF/versions", nil, "400 400"),
        ]
        for (method, target, body, expected) in cases {
            #expect(try place.outcome(method, target, body) == expected, "\(method) \(target) \(body ?? "")")
        }
        #expect(
            try place.client.ask("POST", "/subjects/s/versions", body, fields: ["Content-Type: text/plain"]).status
                == 415)
        #expect(try place.outcome("GET", "/schemas/ids/\(id)").hasPrefix("200 "), "nothing of this changed anything")
        #expect(try place.outcome("GET", "/subjects") == #"200 ["part","s","user"]"#)
        #expect(try place.outcome("GET", "/subjects/s/versions?deleted=true") == "200 [1]")
    }

    @Test func deletionIsSoftFirst() throws {
        let place = try Place()
        let first = try place.register(Place.schema("a", isOpen: true), "s")
        #expect(
            try place.outcome("PUT", "/config/s", #"{"compatibility": "none"}"#) == #"200 {"compatibility":"NONE"}"#)
        let second = try place.register(Place.schema("b", isOpen: true), "s")
        let steps: [(String, String, String)] = [
            ("DELETE", "/subjects/s/versions/1", "200 1"), ("DELETE", "/subjects/s/versions/1", "404 40406"),
            ("GET", "/subjects/s/versions/1", "404 40402"), ("GET", "/subjects/s/versions", "200 [2]"),
            ("GET", "/subjects/s/versions?deleted=true", "200 [1,2]"),
            ("GET", "/subjects/s/versions?deletedOnly=true", "200 [1]"),
            ("GET", "/schemas/ids/\(first)/subjects", "200 []"),
            ("GET", "/schemas/ids/\(first)/subjects?deleted=true", #"200 ["s"]"#),
            ("DELETE", "/subjects/s/versions/1?permanent=true", "200 1"),
            ("DELETE", "/subjects/s/versions/1?permanent=true", "404 40402"),
            ("GET", "/subjects/s/versions?deleted=true", "200 [2]"), ("GET", "/schemas/ids/\(first)", "404 40403"),
            ("DELETE", "/subjects/s/versions/latest", "200 2"), ("GET", "/subjects/s/versions", "404 40401"),
            ("GET", "/subjects", "200 []"), ("GET", "/subjects?deleted=true", #"200 ["s"]"#),
            ("GET", "/subjects?deletedOnly=true", #"200 ["s"]"#),
            ("DELETE", "/subjects/s", "404 40404"),
        ]
        for (method, target, expected) in steps {
            #expect(try place.outcome(method, target) == expected, "\(method) \(target)")
        }
        #expect(try place.client.ask("GET", "/schemas/ids/\(second)").status == 200, "old data still needs it")
        #expect(try place.register(Place.schema("b", isOpen: true), "s") == second, "the same id comes back")
        #expect(try place.outcome("GET", "/subjects/s/versions") == "200 [3]", "under the next version")
        #expect(try place.outcome("DELETE", "/subjects/s") == "200 [3]")
        #expect(try place.outcome("DELETE", "/subjects/s?permanent=true") == "200 [2,3]")
        #expect(try place.outcome("GET", "/subjects?deleted=true") == "200 []")
        #expect(try place.outcome("DELETE", "/subjects/s?permanent=true") == "404 40401")
    }

    @Test func levelsHaveADefaultAndModesToo() throws {
        let place = try Place()
        try place.register(Place.schema("a"), "s")
        let steps: [(String, String, String?, String)] = [
            ("GET", "/config", nil, #"200 {"compatibilityLevel":"BACKWARD"}"#),
            ("GET", "/config/s?defaultToGlobal=true", nil, #"200 {"compatibilityLevel":"BACKWARD"}"#),
            ("PUT", "/config", #"{"compatibility": "FULL_TRANSITIVE"}"#, #"200 {"compatibility":"FULL_TRANSITIVE"}"#),
            ("GET", "/config", nil, #"200 {"compatibilityLevel":"FULL_TRANSITIVE"}"#),
            ("GET", "/config/s?defaultToGlobal=true", nil, #"200 {"compatibilityLevel":"FULL_TRANSITIVE"}"#),
            ("PUT", "/config/s", #"{"compatibility": "FORWARD"}"#, #"200 {"compatibility":"FORWARD"}"#),
            ("GET", "/config/s", nil, #"200 {"compatibilityLevel":"FORWARD"}"#),
            ("DELETE", "/config/s", nil, #"200 {"compatibilityLevel":"FORWARD"}"#),
            ("GET", "/config/s", nil, "404 40408"),
            ("DELETE", "/config", nil, #"200 {"compatibilityLevel":"FULL_TRANSITIVE"}"#),
            ("GET", "/config", nil, #"200 {"compatibilityLevel":"BACKWARD"}"#),
            ("GET", "/mode", nil, #"200 {"mode":"READWRITE"}"#),
            ("PUT", "/mode/s", #"{"mode": "READONLY"}"#, #"200 {"mode":"READONLY"}"#),
            ("POST", "/subjects/s/versions", RegistryPlace.body("{}"), "422 42205"),
            ("DELETE", "/subjects/s", nil, "422 42205"),
            ("GET", "/mode/s", nil, #"200 {"mode":"READONLY"}"#),
            ("DELETE", "/mode/s", nil, #"200 {"mode":"READONLY"}"#),
            ("PUT", "/mode", #"{"mode": "READONLY"}"#, #"200 {"mode":"READONLY"}"#),
            ("GET", "/mode/s?defaultToGlobal=true", nil, #"200 {"mode":"READONLY"}"#),
            ("POST", "/subjects/t/versions", RegistryPlace.body("{}"), "422 42205"),
            ("PUT", "/mode", #"{"mode": "READWRITE"}"#, #"200 {"mode":"READWRITE"}"#),
        ]
        for (method, target, body, expected) in steps {
            #expect(try place.outcome(method, target, body) == expected, "\(method) \(target)")
        }
    }

    @Test func schemasOfAnotherRegistryAreTakenOverWithTheirNumbers() throws {
        let place = try Place()
        let body = Place.body(Place.schema("a"), #", "id": 17, "version": 4"#)
        #expect(try place.outcome("POST", "/subjects/s/versions", body) == "422 42205", "only when importing")
        #expect(try place.outcome("PUT", "/mode", #"{"mode": "IMPORT"}"#) == #"200 {"mode":"IMPORT"}"#)
        #expect(try place.outcome("POST", "/subjects/s/versions", body) == #"200 {"id":17}"#)
        #expect(try place.outcome("GET", "/subjects/s/versions") == "200 [4]")
        #expect(try place.client.ask("GET", "/schemas/ids/17").status == 200)
        let other = Place.body(Place.schema("b"), #", "id": 17, "version": 1"#)
        #expect(try place.outcome("POST", "/subjects/t/versions", other) == "422 42205", "an id stays what it is")
        let renamed = Place.body(Place.schema("a"), #", "id": 18, "version": 4"#)
        #expect(try place.outcome("POST", "/subjects/s/versions", renamed) == "422 42207", "and so does a schema")
    }

    @Test func compatibilityIsToldWithItsReasons() throws {
        let place = try Place()
        try place.register(Place.schema("a"), "s")
        let good = Place.body(#"{"type": "object", "properties": {"a": {"type": ["string", "null"]}}}"#)
        let bad = Place.body(Place.schema("a", "integer"))
        for target in ["/compatibility/subjects/s/versions", "/compatibility/subjects/s/versions/latest"] {
            #expect(try place.outcome("POST", target, good) == #"200 {"is_compatible":true}"#)
            #expect(try place.outcome("POST", target, bad) == #"200 {"is_compatible":false}"#)
            let answer = try place.client.ask("POST", target + "?verbose=true", bad)
            #expect(answer.body.contains("/properties/a"), "\(answer.body)")
        }
        let latest = "/compatibility/subjects/none/versions/latest"
        #expect(try place.outcome("POST", latest, bad) == #"200 {"is_compatible":true}"#)
        #expect(try place.outcome("GET", "/subjects/s/versions") == "200 [1]", "asking registers nothing")
    }

    @Test func noNameOfASubjectLeavesTheFolder() throws {
        let place = try Place()
        for name in [
            "..%2F..%2Fescaped", "%2Fetc%2Fpasswd", "%2E%2E", "%2e", "a%2F..%2F..%2Fb", "%00", "a%00b", "%0A", "~root",
            "C:%5Cx", "%E2%80%AE", ".git", "registry.json",
        ] {
            let answer = try place.client.ask("POST", "/subjects/\(name)/versions", Place.body("{}"))
            #expect([200, 422].contains(answer.status), "\(name): \(answer.body)")
            if answer.status == 200 {
                #expect(try place.outcome("GET", "/subjects/\(name)/versions") == "200 [1]", "\(name)")
            }
        }
        let long = String(repeating: "x", count: 300)
        #expect(try place.outcome("POST", "/subjects/\(long)/versions", Place.body("{}")) == "422 42208")
        let inside = try FileManager.default.contentsOfDirectory(atPath: place.program.folder.url.path)
        #expect(Set(inside) == ["millrace.yaml", "Schemas"])
        let above = place.program.folder.url.deletingLastPathComponent().path
        #expect(!FileManager.default.fileExists(atPath: above + "/escaped"))
        for target in [
            "/../../etc/passwd", "/subjects/../../../etc/passwd", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        ] {
            #expect(try place.outcome("GET", target) == "404 404", "\(target)")
        }
    }

    @Test func bodiesThatAreTooLargeOrNoTextAreRefusedAndTheServiceGoesOn() throws {
        let place = try Place()
        let huge = Place.body(#"{"description": "\#(String(repeating: "x", count: 2 << 20))"}"#)
        #expect(try place.outcome("POST", "/subjects/s/versions", huge) == "413 413")
        let deep = Place.body(
            String(repeating: #"{"not":"#, count: 10_000) + "{}" + String(repeating: "}", count: 10_000))
        #expect(try place.outcome("POST", "/subjects/s/versions", deep) == "422 42201")
        let nested = String(repeating: "[", count: 500_000)
        #expect(try place.outcome("POST", "/subjects/s/versions", nested) == "400 400")
        let connection = try HTTPConnection(port: place.client.port)
        connection.send(
            "POST /subjects/s/versions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(RegistryPlace.token)\r\n"
                + "Content-Length: 16\r\n\r\n")
        connection.send(Array("{\"schema\": \"".utf8) + [0xFF, 0xC0] + Array("\"}".utf8))
        let answer = try connection.receiveAnswer()
        #expect(answer.status == 400 && answer.errorCode == 400)
        #expect(try place.outcome("GET", "/subjects") == "200 []")
    }

    /// The command line writes files under locks that both respect: every version is whole, and none is lost.
    @Test func theCommandLineAndClientsWriteAtOnce() throws {
        let place = try Place()
        let other = try RegistryPlace(in: place)
        #expect(try place.outcome("PUT", "/config", #"{"compatibility": "NONE"}"#).hasPrefix("200"))
        let count = 12
        let failures = Failures()
        DispatchQueue.concurrentPerform(iterations: 3) { writer in
            for number in 0..<count {
                do {
                    let schema = RegistryPlace.schema("w\(writer)n\(number)")
                    switch writer {
                    case 0: try place.register(schema, "shared")
                    case 1: try other.register(schema, "shared")
                    default:
                        let file = try place.program.folder.write("n\(number).json", schema)
                        let result = try place.program.run("schema", "register", "shared", file)
                        if result.exitCode != 0 { throw ChildFailure(description: result.errors) }
                    }
                } catch {
                    failures.add("\(error)")
                }
            }
        }
        #expect(failures.all == [])
        let versions = (1...(3 * count)).map(String.init).joined(separator: ",")
        #expect(try place.outcome("GET", "/subjects/shared/versions") == "200 [\(versions)]")
        #expect(try other.outcome("GET", "/subjects/shared/versions") == "200 [\(versions)]")
        let schemas = try #require(try place.client.ask("GET", "/schemas").json as? [[String: NSObject]])
        #expect(Set(schemas.compactMap { $0["id"] as? Int }).count == 3 * count, "each has an id of its own")
        #expect(try place.client.ask("GET", "/schemas").body == other.client.ask("GET", "/schemas").body)
    }
}

/// What went wrong in several threads.
private final class Failures: @unchecked Sendable {
    private let lock = DispatchQueue(label: "failures")
    private var list: [String] = []

    var all: [String] { lock.sync { list } }

    func add(_ text: String) { lock.sync { list.append(text) } }
}

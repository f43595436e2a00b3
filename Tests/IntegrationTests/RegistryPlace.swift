import Foundation
import ProgramTesting

/// A registry that answers over HTTP, as a user starts it, with a folder and a port of its own.
final class RegistryPlace: Sendable {
    static let token = "0123456789abcdef-token"
    let program: MillraceProgram
    let process: ChildProcess
    /// Asks with the token.
    let client: HTTPClient

    /// Starts `millrace schema serve` in a new folder, or in that of another place.
    init(in other: RegistryPlace? = nil) throws {
        program = try other?.program ?? MillraceProgram(configuration: Self.configuration)
        process = try program.start("schema", "serve")
        client = HTTPClient(port: try process.waitForListener(), fields: ["Authorization: Bearer \(Self.token)"])
    }

    private static let configuration = """
        name: shop
        source:
          sqlite: {path: shop.db}
        server: {listen: "127.0.0.1:0", token: \(token)}
        """

    /// A schema that allows a property of a type; further ones are allowed when `isOpen`.
    static func schema(_ name: String, _ type: String = "string", isOpen: Bool = false) -> String {
        let rest = isOpen ? "" : #", "additionalProperties": false"#
        return #"{"type": "object", "properties": {"\#(name)": {"type": "\#(type)"}}\#(rest)}"#
    }

    /// The body that hands in a schema.
    static func body(_ schema: String, _ more: String = "") -> String {
        let text = schema.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        return #"{"schemaType": "JSON", "schema": "\#(text)"\#(more)}"#
    }

    /// Registers a schema and gives its id.
    @discardableResult
    func register(_ schema: String, _ subject: String, _ more: String = "") throws -> Int {
        let answer = try client.ask("POST", "/subjects/\(subject)/versions", Self.body(schema, more))
        guard answer.status == 200, let id = answer.object["id"] as? NSNumber else {
            throw ChildFailure(description: "cannot register in \(subject): \(answer.body)")
        }
        return id.intValue
    }

    /// The status and the code of what a request is refused with, or the status and the body of what it brings.
    func outcome(
        _ method: String, _ target: String, _ body: String? = nil, fields: [String] = []
    ) throws -> String {
        let answer = try client.ask(method, target, body, fields: fields)
        if let code = answer.errorCode {
            let message = answer.object["message"] as? String ?? ""
            return message.isEmpty ? "no message" : "\(answer.status) \(code)"
        }
        return "\(answer.status) \(answer.body)"
    }
}

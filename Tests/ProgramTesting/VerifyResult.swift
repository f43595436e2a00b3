import Foundation

/// What `millrace verify --json` said.
package struct VerifyResult: @unchecked Sendable {
    /// The exit code.
    package let code: Int32
    /// The object; empty when there was none.
    package let object: [String: Any]
    /// All that was printed.
    package let text: String

    /// True when no difference was found.
    package var isEqual: Bool { object["equal"] as? Bool ?? false }
    /// The tables' objects.
    package var tables: [[String: Any]] { object["tables"] as? [[String: Any]] ?? [] }

    /// The object of one table; empty without it.
    package func table(_ name: String) -> [String: Any] { tables.first { $0["table"] as? String == name } ?? [:] }

    init(_ result: ChildResult) {
        code = result.exitCode
        object = (try? JSONSerialization.jsonObject(with: Data(result.output.utf8))) as? [String: Any] ?? [:]
        text = result.output + result.errors
    }
}

extension MillraceProgram {
    /// Compares the log with the source.
    package func verify(showingKeys: Bool = true) throws -> VerifyResult {
        VerifyResult(showingKeys ? try run("verify", "--json", "--show-keys") : try run("verify", "--json"))
    }
}

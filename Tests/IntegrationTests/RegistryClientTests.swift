import Foundation
import ProgramTesting
import Testing

/// Clients that others wrote, against the registry as a user starts it.
@Suite(.serialized)
struct RegistryClientTests {
    /// The checks are in `RegistryClient/registry_client.py`; `scripts/test` fetches the client.
    @Test func confluentsPythonClientAndItsSerializersWorkUnchanged() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
        let python = root.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: ".build/registry-client/bin/python").path
        try #require(
            FileManager.default.isExecutableFile(atPath: python), "run scripts/test once: it fetches the client")
        let place = try RegistryPlace()
        let result = try runProgram(
            python,
            [
                root.appending(path: "RegistryClient/registry_client.py").path,
                "http://127.0.0.1:\(place.client.port)", RegistryPlace.token,
            ])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output.split(separator: "\n").count == 12, "\(result.output)")
        // What clients registered are files that people read, and that the command line knows.
        let list = try place.program.run("schema", "list")
        #expect(list.exitCode == 0 && list.output.contains("clients-"), "\(list.errors)")
    }
}

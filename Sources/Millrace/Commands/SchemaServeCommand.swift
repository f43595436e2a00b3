import ArgumentParser
import ConnectorKit
import PipelineConfiguration

/// `millrace schema serve`
struct SchemaServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Answer clients of schema registries over HTTP, without capturing anything.",
        discussion: """
            Serves the schema folder under the paths that clients of the Confluent Schema Registry know, until SIGINT \
            or SIGTERM. Address and token are those of the section `server` of the configuration; without the section, \
            and with --schemas, it is 127.0.0.1:8642 without a token. A running `millrace run` may use the same \
            folder, but not the same port.
            """)

    @OptionGroup var place: SchemaOptions
    @Option(help: ArgumentHelp("Listen here instead, such as 127.0.0.1:0 for any free port.", valueName: "address"))
    var listen: String?

    func run() async throws {
        let project = place.schemas == nil ? try Project.load(place.shared.config) : nil
        let server = try self.server(project?.configuration.server)
        let logger = LogLines.logger()
        let service = HTTPService(
            server, registry: try place.store(), name: project?.configuration.name ?? "millrace", logger)
        let signals = SignalWatcher()
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        signals.start { end.finish() }
        do throws(ConnectorFailure) {
            try await service.start()
        } catch {
            throw project?.located(error) ?? LocatedFailure(failure: error)
        }
        for await _ in ends {}
        await service.stop()
        if let signal = signals.received { throw RunEnd.signal(signal) }
    }

    /// What is wrong with an address, and what to write.
    private static func refusal(of text: String) -> String {
        let port = text.split(separator: ":", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        let wrong =
            if !text.contains(":") || text.hasSuffix("]") {
                "\"\(text)\" has no port behind a colon"
            } else if UInt16(port) == nil {
                "\"\(port)\" is no port from 0 to 65535"
            } else if text.filter({ $0 == ":" }).count > 1 {
                "an IPv6 address stands in brackets"
            } else {
                "\"\(text.dropLast(port.count + 1))\" is no IP address; of names, only localhost is taken"
            }
        return
            "--listen: \(wrong). Write an IP address and a port, such as 127.0.0.1:8642, [::1]:8642 or localhost:8642"
    }

    private func server(_ configured: ServerConfiguration?) throws -> ServerConfiguration {
        guard let listen else { return configured ?? .standard }
        guard let address = ListenAddress(listen) else {
            throw ValidationError(Self.refusal(of: listen))
        }
        guard address.isLoopback || configured?.token != nil else {
            throw ConnectorFailure(
                "http.no_token", .stop, "other machines reach \(address), and no token is set",
                setting: "server.token",
                hint: "add server: {token: ${MILLRACE_TOKEN}} to the configuration, or listen on 127.0.0.1",
                exitCode: 2)
        }
        return ServerConfiguration(listen: address, token: configured?.token)
    }
}

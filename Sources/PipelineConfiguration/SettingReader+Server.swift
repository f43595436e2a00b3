import ConnectorKit

/// The section `server`.
extension SettingReader {
    /// Who may reach the listener; nil for a file without the section, and with problems reported.
    mutating func server(_ top: SettingValues, _ all: [Entry]) -> ServerConfiguration? {
        guard let section = all.first(where: { $0.name == "server" }), let values = top.group("server"),
            let text = values.text("listen")
        else { return nil }
        let place = locations.position(of: "server.listen") ?? section.keyPosition
        let token = self.token(values, at: locations.position(of: "server.token") ?? section.keyPosition)
        guard let listen = ListenAddress(text) else {
            report(
                "config.bad_value", "\"listen\" is not an IP address and a port", "server.listen", place,
                "such as 127.0.0.1:8642, [::1]:8642 or 0.0.0.0:8642")
            return nil
        }
        let isTokenGiven = token != nil || problems.contains { $0.path == "server.token" }
        if !listen.isLoopback && !isTokenGiven {
            report(
                "config.missing_key", "other machines reach \(listen), and \"token\" is missing", "server.listen",
                place, "add token: ${MILLRACE_TOKEN}, with what openssl rand -hex 32 prints, or listen on 127.0.0.1")
        }
        var server = ServerConfiguration(listen: listen, token: token)
        if let classes = values.list("clearance") {
            server.clearance = clearance(classes, "server.clearance", at: section.keyPosition)
        }
        server.streamCountMax = values.integer("streams") ?? server.streamCountMax
        server.subscriptionCountMax = values.integer("subscriptions") ?? server.subscriptionCountMax
        server.heartbeat = pause(values, "heartbeat", at: section.keyPosition) ?? server.heartbeat
        server.stallTime = pause(values, "slow_reader_timeout", at: section.keyPosition) ?? server.stallTime
        return server
    }

    /// A time between a second and an hour: shorter ones would only burn electricity, longer ones mean never.
    private mutating func pause(_ values: SettingValues, _ name: String, at position: FilePosition) -> Duration? {
        guard let time = values.duration(name) else { return nil }
        guard (.seconds(1) ... .seconds(3600)).contains(time) else {
            report(
                "config.bad_value", "\"\(name)\" is not between 1s and 1h", "server.\(name)",
                locations.position(of: "server.\(name)") ?? position, "such as 15s")
            return nil
        }
        return time
    }

    /// The token; nil when it is empty, as `${MILLRACE_TOKEN:-}` may be, or refused.
    private mutating func token(_ values: SettingValues, at position: FilePosition) -> String? {
        guard let token = values.text("token"), !token.isEmpty else { return nil }
        let hint = "openssl rand -hex 32 prints a good one"
        guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            report(
                "config.bad_value", "the token has other characters than visible ASCII ones", "server.token", position,
                hint)
            return nil
        }
        guard token.utf8.count >= PipelineSettings.tokenBytesMin else {
            report(
                "config.bad_value", "the token is shorter than \(PipelineSettings.tokenBytesMin) characters",
                "server.token", position, hint)
            return nil
        }
        return token
    }
}

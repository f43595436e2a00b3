/// Asks a listener on 127.0.0.1, over a connection for each request.
package struct HTTPClient: Sendable {
    /// The listener's port.
    package let port: Int
    /// Header fields that every request has, as they are written.
    package var fields: [String] = []

    /// A client of a listener.
    package init(port: Int, fields: [String] = []) {
        self.port = port
        self.fields = fields
    }

    /// Sends a request and waits for the answer. A body is sent as registries take it, unless `fields` say otherwise.
    package func ask(
        _ method: String, _ target: String, _ body: String? = nil, fields: [String] = []
    ) throws -> HTTPAnswer {
        let connection = try HTTPConnection(port: port)
        var head = ["\(method) \(target) HTTP/1.1", "Connection: close"] + self.fields + fields
        if !head.contains(where: { $0.hasPrefix("Host:") }) { head.append("Host: 127.0.0.1:\(port)") }
        if let body {
            head.append("Content-Length: \(body.utf8.count)")
            if !head.contains(where: { $0.hasPrefix("Content-Type:") }) {
                head.append("Content-Type: application/vnd.schemaregistry.v1+json")
            }
        }
        connection.send(head.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? ""))
        let bytes = try connection.receiveAll()
        guard let answer = HTTPAnswer(bytes, isHead: method == "HEAD") else {
            throw ChildFailure(
                description: "no answer to \(method) \(target): \(String(decoding: bytes, as: UTF8.self))")
        }
        return answer
    }
}

extension ChildProcess {
    /// Waits until the program listens for HTTP, and gives the port.
    package func waitForListener() throws -> Int {
        try waitForError(containing: "listening for HTTP address=")
        guard let line = errorText.split(separator: "\n").first(where: { $0.contains("listening for HTTP address=") }),
            let port = line.split(separator: ":").last.flatMap({ Int($0) })
        else { throw ChildFailure(description: "no port: \(errorText)") }
        return port
    }
}

internal import ByteKit
internal import ConnectorKit

/// Writes the heads of requests, as HTTP/1.1 has them (RFC 9112): what all have in common is made once.
struct RequestHead: ~Copyable {
    private let signer: Signer
    private let writer: RequestWriter
    /// The request line and the headers that all requests have.
    private let start: [UInt8]
    /// The part of what is signed that stands before the body.
    private var signed = OutputBuffer(capacity: 128)

    /// Heads for a sink. Without a `contentType`, each request brings its own.
    init(_ settings: WebhookSettings, contentType: String?) throws(ConnectorFailure) {
        signer = try Signer(settings.secrets)
        writer = RequestWriter(settings)
        let url = settings.url
        let proxy = settings.proxy.flatMap { url.isEncrypted ? nil : WebhookURL($0) }
        let own = Set(settings.headers.keys.map { $0.lowercased() })
        // A proxy that passes requests on is told the whole address; where it makes a tunnel, libcurl speaks to it.
        var lines = ["POST \(proxy == nil ? "" : "http://" + url.authority)\(url.target) HTTP/1.1"]
        lines.append("Host: \(url.authority)")
        if !own.contains("user-agent") { lines.append("User-Agent: millrace") }
        if !own.contains("accept") { lines.append("Accept: */*") }
        if let credentials = proxy?.credentials, !own.contains("proxy-authorization") {
            lines.append("Proxy-Authorization: \(Self.basic(credentials))")
        }
        if let contentType { lines.append("content-type: \(contentType)") }
        if let authorization = settings.authorization {
            lines.append("authorization: \(authorization)")
        } else if let credentials = url.credentials, !own.contains("authorization") {
            lines.append("authorization: \(Self.basic(credentials))")
        }
        for (name, value) in settings.headers.sorted(by: { $0.key < $1.key }) { lines.append("\(name): \(value)") }
        start = Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
    }

    /// The value of `Authorization` for `user:password`.
    static func basic(_ credentials: String) -> String {
        var text = OutputBuffer(capacity: 128)
        text.append(base64: Array(credentials.utf8).rawBytes)
        return "Basic " + (String(validatingUTF8: text.bytes) ?? "")
    }

    /// Appends the head of an attempt: with the time of it, and signatures made anew.
    mutating func append(
        _ content: RequestContent, timestamp: Int, to output: inout OutputBuffer
    ) throws(ConnectorFailure) {
        output.append(start)
        output.append("webhook-id: ")
        signed.removeAll()
        try content.id.append(to: &signed)
        output.append(contentsOf: signed)
        output.append("\r\nwebhook-timestamp: ")
        output.append(decimal: timestamp)
        for header in writer.headers(of: content) {
            output.append("\r\n")
            // Whatever names and values are made of: nothing of them begins a line of its own.
            for byte in header { output.append(byte < 0x20 || byte == 0x7F ? UInt8(ascii: "?") : byte) }
        }
        if !signer.isEmpty {
            signed.append(UInt8(ascii: "."))
            signed.append(decimal: timestamp)
            signed.append(UInt8(ascii: "."))
            output.append("\r\nwebhook-signature: ")
            try append(signaturesOf: signed, content, to: &output)
        }
        output.append("\r\nContent-Length: ")
        output.append(decimal: content.body.count)
        output.append("\r\n\r\n")
    }

    private func append(
        signaturesOf prefix: borrowing OutputBuffer, _ content: RequestContent, to output: inout OutputBuffer
    ) throws(ConnectorFailure) {
        let bytes = content.bytes
        try signer.append(signaturesOf: prefix.bytes, bytes.bytes.extracting(content.body), to: &output)
    }
}

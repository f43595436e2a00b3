package import ConnectorKit
package import Logging

extension Logger.Metadata {
    /// What a log line says about a failure.
    package static func failure(_ failure: ConnectorFailure, retryIn pause: Duration? = nil) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["code": "\(failure.code)", "message": "\(failure.message)"]
        if let hint = failure.hint { metadata["try"] = "\(hint)" }
        if let pause { metadata["retry_in"] = "\(pause.formatted)" }
        return metadata
    }
}

extension Duration {
    /// Seconds with one decimal, such as `1.5s`.
    fileprivate var formatted: String {
        let tenths = components.seconds * 10 + components.attoseconds / 100_000_000_000_000_000
        return "\(tenths / 10).\(tenths % 10)s"
    }
}

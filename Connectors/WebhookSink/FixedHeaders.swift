internal import CLibCurl

/// The headers that all requests have, as libcurl's list.
@safe final class FixedHeaders {
    private(set) var list: UnsafeMutablePointer<curl_slist>?

    /// The list for a sink. Without a `contentType`, each request brings its own.
    init(_ settings: WebhookSettings, contentType: String?) {
        unsafe list = nil
        if let contentType { append("content-type: \(contentType)") }
        if let authorization = settings.authorization { append("authorization: \(authorization)") }
        for (name, value) in settings.headers.sorted(by: { $0.key < $1.key }) {
            // A header without a value is written with a semicolon; a colon would take it out.
            append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        // libcurl waits with large bodies for leave to send them, which few receivers give.
        append("expect:")
    }

    deinit { unsafe curl_slist_free_all(list) }

    private func append(_ header: String) {
        if let longer = unsafe curl_slist_append(list, header) { unsafe list = longer }
    }
}

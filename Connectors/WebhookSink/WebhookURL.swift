private import CLibCurl
internal import ConnectorKit
private import Glibc

/// The address of an endpoint, checked. What is printed of it is ``origin`` alone.
struct WebhookURL: Sendable, Equatable {
    /// As the configuration has it.
    let text: String
    /// Scheme, host and port: what may stand in messages.
    let origin: String
    /// The host; an IPv6 address without its brackets.
    let host: String
    /// The port.
    let port: Int
    /// Host and port as requests name them: the port unless it is the usual one.
    let authority: String
    /// Path and query as requests name them.
    let target: String
    /// Its user and password, `user:password`, decoded; nil without a user.
    let credentials: String?
    /// True with `https`.
    let isEncrypted: Bool
    /// True when the host is an address of its own, and not a public one.
    let isPrivateAddress: Bool

    /// What stands for an address while what is wrong with it and with other settings is collected.
    static let none = WebhookURL()

    private init() {
        (text, origin, host, port, isPrivateAddress) = ("", "", "", 0, false)
        (authority, target, credentials, isEncrypted) = ("", "/", nil, false)
    }

    /// Nil for a text that is no address of HTTP with a host. See libcurl-url(3).
    init?(_ text: String) {
        // libcurl takes a third slash for a slip of the pen, and the path for the host.
        guard !text.isEmpty, !text.contains(":///"), text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }),
            let handle = unsafe curl_url()
        else {
            return nil
        }
        defer { unsafe curl_url_cleanup(handle) }
        guard unsafe curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK else { return nil }
        let part = { (part: CURLUPart, flags: Int32) -> String? in
            var value: UnsafeMutablePointer<CChar>?
            let flags = UInt32(CURLU_DEFAULT_PORT | flags)
            guard unsafe curl_url_get(handle, part, &value, flags) == CURLUE_OK, let value = unsafe value else {
                return nil
            }
            defer { unsafe curl_free(value) }
            return unsafe String(cString: value)
        }
        guard let scheme = part(CURLUPART_SCHEME, 0), ["http", "https"].contains(scheme),
            let written = part(CURLUPART_HOST, 0), Self.isHost(written),
            let port = part(CURLUPART_PORT, 0).flatMap({ Int($0) }), port > 0
        else { return nil }
        host = written.hasPrefix("[") ? String(written.dropFirst().dropLast()) : written
        let isUsual = port == (scheme == "https" ? 443 : 80)
        origin = "\(scheme)://\(written)" + (isUsual ? "" : ":\(port)")
        isEncrypted = scheme == "https"
        authority = written + (isUsual ? "" : ":\(port)")
        let query = part(CURLUPART_QUERY, CURLU_URLENCODE).map { "?" + $0 } ?? ""
        target = (part(CURLUPART_PATH, CURLU_URLENCODE) ?? "/") + query
        credentials = part(CURLUPART_USER, CURLU_URLDECODE).map {
            $0 + ":" + (part(CURLUPART_PASSWORD, CURLU_URLDECODE) ?? "")
        }
        self.text = text
        self.port = port
        isPrivateAddress = Self.isPrivate(host)
    }

    /// True for a name that DNS can have, or an address. How libcurl writes names in other letters than ASCII depends
    /// on the machine's language, so they are not taken.
    private static func isHost(_ text: String) -> Bool {
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        return !name.isEmpty && name.utf8.allSatisfy { $0 < 0x80 } && !name.contains("..") && !name.hasPrefix(".")
    }

    private static func isPrivate(_ host: String) -> Bool {
        var v4 = in_addr()
        if unsafe inet_pton(AF_INET, host, &v4) == 1 { return !AddressRule.isPublic(v4: UInt32(bigEndian: v4.s_addr)) }
        var v6 = [UInt8](repeating: 0, count: 16)
        if unsafe inet_pton(AF_INET6, host, &v6) == 1 { return !AddressRule.isPublic(v6: v6) }
        return false
    }
}

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
    /// True when it names a user.
    let hasUser: Bool
    /// True when the host is an address of its own, and not a public one.
    let isPrivateAddress: Bool

    /// What stands for an address while what is wrong with it and with other settings is collected.
    static let none = WebhookURL()

    private init() { (text, origin, host, port, hasUser, isPrivateAddress) = ("", "", "", 0, false, false) }

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
        let part = { (part: CURLUPart) -> String? in
            var value: UnsafeMutablePointer<CChar>?
            let flags = UInt32(CURLU_DEFAULT_PORT)
            guard unsafe curl_url_get(handle, part, &value, flags) == CURLUE_OK, let value = unsafe value else {
                return nil
            }
            defer { unsafe curl_free(value) }
            return unsafe String(cString: value)
        }
        guard let scheme = part(CURLUPART_SCHEME), ["http", "https"].contains(scheme),
            let written = part(CURLUPART_HOST), !written.isEmpty,
            let port = part(CURLUPART_PORT).flatMap({ Int($0) })
        else { return nil }
        host = written.hasPrefix("[") ? String(written.dropFirst().dropLast()) : written
        let isUsual = port == (scheme == "https" ? 443 : 80)
        origin = "\(scheme)://\(written)" + (isUsual ? "" : ":\(port)")
        hasUser = part(CURLUPART_USER) != nil
        self.text = text
        self.port = port
        isPrivateAddress = Self.isPrivate(host)
    }

    private static func isPrivate(_ host: String) -> Bool {
        var v4 = in_addr()
        if unsafe inet_pton(AF_INET, host, &v4) == 1 { return !AddressRule.isPublic(v4: UInt32(bigEndian: v4.s_addr)) }
        var v6 = [UInt8](repeating: 0, count: 16)
        if unsafe inet_pton(AF_INET6, host, &v6) == 1 { return !AddressRule.isPublic(v6: v6) }
        return false
    }
}

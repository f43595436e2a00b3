internal import CLibCurl
internal import ConnectorKit
private import Glibc

/// What libcurl is told about connections. See curl_easy_setopt(3).
extension Connection {
    /// Sets all options. False when libcurl refuses one.
    func setUp(_ settings: WebhookSettings) -> Bool {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        return unsafe setCallbacks(context) && setProtocol(settings) && setTLS(settings)
    }

    private func setCallbacks(_ context: UnsafeMutableRawPointer) -> Bool {
        // What a proxy says beside its status.
        let discard: curl_bytes_function = { _, size, count, _ in size * count }
        let open: curl_socket_function = { context, _, address in
            guard let context = unsafe context, let address = unsafe address else { return CURL_SOCKET_BAD }
            return unsafe Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue().openSocket(address)
        }
        return unsafe curl_set_pointer(handle, CURLOPT_PRIVATE, context) == CURLE_OK
            && curl_set_bytes_function(handle, CURLOPT_WRITEFUNCTION, discard) == CURLE_OK
            && curl_set_bytes_function(handle, CURLOPT_HEADERFUNCTION, discard) == CURLE_OK
            && curl_set_socket_function(handle, open) == CURLE_OK
            && curl_set_pointer(handle, CURLOPT_OPENSOCKETDATA, context) == CURLE_OK
            && curl_set_buffer(handle, CURLOPT_ERRORBUFFER, errorText.baseAddress) == CURLE_OK
    }

    private func setProtocol(_ settings: WebhookSettings) -> Bool {
        set(CURLOPT_URL, settings.url.text) && set(CURLOPT_PROTOCOLS_STR, "http,https") && set(CURLOPT_CONNECT_ONLY, 1)
            && set(CURLOPT_NOSIGNAL, 1) && set(CURLOPT_QUICK_EXIT, 1) && set(CURLOPT_TCP_KEEPALIVE, 1)
            // What is spoken here is no other version, so no other one may be agreed on.
            && set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
            && set(CURLOPT_USERAGENT, "millrace")
            && set(CURLOPT_CONNECTTIMEOUT_MS, max(min(settings.connectTimeout, settings.timeout).milliseconds, 1))
            // An empty name is none, not even that of the environment.
            && set(CURLOPT_PROXY, settings.proxy ?? "") && set(CURLOPT_NOPROXY, "")
    }

    private func setTLS(_ settings: WebhookSettings) -> Bool {
        var isSet =
            set(CURLOPT_SSL_VERIFYPEER, 1) && set(CURLOPT_SSL_VERIFYHOST, 2)
            && set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let authorities = settings.tls.authorities {
            isSet = isSet && set(CURLOPT_CAINFO, authorities) && set(CURLOPT_CAPATH, nil)
        }
        if let certificate = settings.tls.certificate {
            isSet =
                isSet && set(CURLOPT_SSLCERT, certificate) && set(CURLOPT_SSLKEY, settings.tls.key ?? certificate)
                && set(CURLOPT_KEYPASSWD, settings.tls.keyPassword)
        }
        return isSet
    }

    private func set(_ option: CURLoption, _ value: Int) -> Bool {
        unsafe curl_set_long(handle, option, value) == CURLE_OK
    }

    /// Sets a text, which libcurl copies; nil takes it away.
    private func set(_ option: CURLoption, _ value: String?) -> Bool {
        guard let value else { return unsafe curl_set_text(handle, option, nil) == CURLE_OK }
        return unsafe curl_set_text(handle, option, value) == CURLE_OK
    }

    /// Makes a socket for an address, unless requests may not go there.
    private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
        // The structure ends with as many bytes of the address as its length says, not with what its type says.
        let start = MemoryLayout<curl_sockaddr>.offset(of: \.addr) ?? 0
        let bytes = unsafe UnsafeRawBufferPointer(
            start: UnsafeRawPointer(address) + start, count: Int(address.pointee.addrlen))
        let isAllowed = unsafe allowsPrivateAddresses || Self.isPublic(bytes)
        guard isAllowed else {
            isAddressRefused = true
            return CURL_SOCKET_BAD
        }
        return unsafe Glibc.socket(
            address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue), address.pointee.protocol)
    }

    private static func isPublic(_ address: UnsafeRawBufferPointer) -> Bool {
        guard address.count >= 16 else { return false }
        let family = unsafe address.load(as: sa_family_t.self)
        switch Int32(family) {
        case AF_INET:
            return AddressRule.isPublic(v4: UInt32(bigEndian: unsafe address.load(fromByteOffset: 4, as: UInt32.self)))
        case AF_INET6: return unsafe address.count >= 24 && AddressRule.isPublic(v6: Array(address[8..<24]))
        default: return false
        }
    }
}

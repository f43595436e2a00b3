internal import ByteKit
internal import CLibCurl
internal import ConnectorKit
private import Glibc

/// One of libcurl's easy handles, used for one request after the other. Belongs to the courier's thread.
///
/// See libcurl-easy(3) and curl_easy_setopt(3).
@safe final class Transfer {
    /// The easy handle.
    let handle: UnsafeMutableRawPointer
    /// What is on its way; nil when the transfer is idle.
    var delivery: Delivery?

    private let list = HeaderList()
    /// Where libcurl writes what went wrong, ended by a zero.
    private let errorText: UnsafeMutableBufferPointer<CChar>
    private let allowsPrivateAddresses: Bool
    private let responseBytesMax: Int
    private var responseBytes = 0
    private var isResponseTooLong = false
    private var isAddressRefused = false

    /// A transfer with everything that all requests have in common.
    init(_ settings: WebhookSettings) throws(ConnectorFailure) {
        guard let handle = unsafe curl_easy_init() else { throw WebhookFailure.client("begin") }
        unsafe self.handle = handle
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0)
        // A proxy's address is its own matter, and where it connects to is the proxy's.
        allowsPrivateAddresses = settings.allowsPrivateAddresses || settings.proxy != nil
        responseBytesMax = settings.responseBytesMax
        guard setUp(settings) else { throw WebhookFailure.client("take its options") }
    }

    deinit {
        unsafe curl_easy_cleanup(handle)
        unsafe errorText.deallocate()
    }

    /// The transfer that a handle belongs to.
    static func of(_ handle: UnsafeMutableRawPointer) -> Transfer? {
        var pointer: UnsafeMutableRawPointer?
        guard unsafe curl_get_pointer(handle, CURLINFO_PRIVATE, &pointer) == CURLE_OK, let pointer = unsafe pointer
        else { return nil }
        return unsafe Unmanaged<Transfer>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Makes the handle ready for the next attempt of a request. `tail` are the headers that all requests have; they
    /// must outlive it.
    func prepare(
        _ delivery: Delivery, _ signer: Signer, timestamp: Int, tail: UnsafeMutablePointer<curl_slist>?
    ) throws(ConnectorFailure) {
        self.delivery = delivery
        unsafe errorText[0] = 0
        (responseBytes, isResponseTooLong, isAddressRefused) = (0, false, false)
        try writeHeaders(delivery, signer, timestamp)
        let body = unsafe delivery.content.unsafeBytes(delivery.body)
        let isSet =
            unsafe curl_set_list(handle, CURLOPT_HTTPHEADER, list.linked(before: tail)) == CURLE_OK
            && curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count)) == CURLE_OK
            && curl_set_pointer(handle, CURLOPT_POSTFIELDS, body.baseAddress) == CURLE_OK
        guard isSet else { throw WebhookFailure.client("prepare a request") }
    }

    private func writeHeaders(
        _ delivery: Delivery, _ signer: Signer, _ timestamp: Int
    ) throws(ConnectorFailure) {
        list.removeAll()
        list.add {
            $0.append("webhook-id: ")
            $0.append(delivery.id)
        }
        list.add {
            $0.append("webhook-timestamp: ")
            $0.append(decimal: timestamp)
        }
        for header in delivery.headers { list.add { $0.append(header) } }
        if signer.isEmpty { return }
        var prefix = OutputBuffer(capacity: 128)
        prefix.append(delivery.id)
        prefix.append(UInt8(ascii: "."))
        prefix.append(decimal: timestamp)
        prefix.append(UInt8(ascii: "."))
        var signatures = OutputBuffer(capacity: 128)
        let content = delivery.content
        try signer.append(signaturesOf: prefix.bytes, content.bytes.extracting(delivery.body), to: &signatures)
        list.add {
            $0.append("webhook-signature: ")
            $0.append(contentsOf: signatures)
        }
    }

    /// How the request ended. `result` is what the multi interface said.
    func outcome(_ result: CURLcode) -> Outcome {
        var (status, systemError, retryAfter) = (0, 0, curl_off_t(0))
        unsafe curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        unsafe curl_get_long(handle, CURLINFO_OS_ERRNO, &systemError)
        unsafe curl_get_offset(handle, CURLINFO_RETRY_AFTER, &retryAfter)
        var outcome = Outcome(
            result: result.rawValue, status: status, retryAfter: Int(clamping: retryAfter),
            isResponseTooLong: isResponseTooLong, isAddressRefused: isAddressRefused,
            systemError: Int32(truncatingIfNeeded: systemError))
        if result == CURLE_OK { return outcome }
        unsafe curl_get_long(handle, CURLINFO_HTTP_CONNECTCODE, &outcome.proxyStatus)
        unsafe curl_get_long(handle, CURLINFO_SSL_VERIFYRESULT, &outcome.verifyResult)
        if let text = unsafe errorText.baseAddress { outcome.reason = unsafe String(cString: text) }
        return outcome
    }

    // MARK: What libcurl calls

    /// Counts bytes of the response. False when there are too many.
    private func received(_ count: Int) -> Bool {
        responseBytes += count
        if responseBytes <= responseBytesMax { return true }
        isResponseTooLong = true
        return false
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
        return unsafe socket(
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

    // MARK: Options

    private func setUp(_ settings: WebhookSettings) -> Bool {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        return unsafe setCallbacks(context) && setProtocol(settings) && setTLS(settings)
    }

    private func setCallbacks(_ context: UnsafeMutableRawPointer) -> Bool {
        let receive: curl_bytes_function = { _, size, count, context in
            let (size, count) = (Int(size), Int(count))
            guard let context = unsafe context else { return 0 }
            let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
            return transfer.received(size * count) ? size * count : 0
        }
        let open: curl_socket_function = { context, _, address in
            guard let context = unsafe context, let address = unsafe address else { return CURL_SOCKET_BAD }
            return unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().openSocket(address)
        }
        return unsafe curl_set_pointer(handle, CURLOPT_PRIVATE, context) == CURLE_OK
            && curl_set_bytes_function(handle, CURLOPT_WRITEFUNCTION, receive) == CURLE_OK
            && curl_set_pointer(handle, CURLOPT_WRITEDATA, context) == CURLE_OK
            && curl_set_bytes_function(handle, CURLOPT_HEADERFUNCTION, receive) == CURLE_OK
            && curl_set_pointer(handle, CURLOPT_HEADERDATA, context) == CURLE_OK
            && curl_set_socket_function(handle, open) == CURLE_OK
            && curl_set_pointer(handle, CURLOPT_OPENSOCKETDATA, context) == CURLE_OK
            && curl_set_buffer(handle, CURLOPT_ERRORBUFFER, errorText.baseAddress) == CURLE_OK
    }

    private func setProtocol(_ settings: WebhookSettings) -> Bool {
        set(CURLOPT_URL, settings.url.text) && set(CURLOPT_PROTOCOLS_STR, "http,https") && set(CURLOPT_POST, 1)
            && set(CURLOPT_FOLLOWLOCATION, 0) && set(CURLOPT_NOSIGNAL, 1) && set(CURLOPT_QUICK_EXIT, 1)
            && set(CURLOPT_TCP_KEEPALIVE, 1) && set(CURLOPT_PIPEWAIT, settings.url.origin.hasPrefix("https") ? 1 : 0)
            && set(CURLOPT_USERAGENT, "millrace")
            && set(CURLOPT_TIMEOUT_MS, settings.timeout.milliseconds)
            && set(CURLOPT_CONNECTTIMEOUT_MS, settings.connectTimeout.milliseconds)
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

    /// Sets a number.
    func set(_ option: CURLoption, _ value: Int) -> Bool { unsafe curl_set_long(handle, option, value) == CURLE_OK }

    /// Sets a text, which libcurl copies; nil takes it away.
    private func set(_ option: CURLoption, _ value: String?) -> Bool {
        guard let value else { return unsafe curl_set_text(handle, option, nil) == CURLE_OK }
        return unsafe curl_set_text(handle, option, value) == CURLE_OK
    }
}

extension Duration {
    /// Whole milliseconds, at least one.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return max(Int(clamping: seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000), 1)
    }
}

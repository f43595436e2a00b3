internal import ByteKit
private import CLibCrypto
internal import ConnectorKit

/// Signs requests with every secret at once, as Standard Webhooks describes: over `id.timestamp.body`.
///
/// Used by one thread at a time. See EVP_MAC(3), EVP_DigestSign(3) and
/// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
@safe final class Signer {
    private var hashes: [Handle] = []
    private var privateKeys: [Handle] = []

    /// Something of libcrypto's.
    @safe private struct Handle {
        let pointer: OpaquePointer
    }

    /// A signer for these secrets.
    init(_ secrets: [WebhookSecret]) throws(ConnectorFailure) {
        for secret in secrets {
            switch secret.scheme {
            case .shared:
                guard let hash = unsafe Self.hash(secret.key) else { throw WebhookFailure.cannotSign }
                unsafe hashes.append(Handle(pointer: hash))
            case .privateKey:
                let key = unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, secret.key, secret.key.count)
                guard let key = unsafe key else { throw WebhookFailure.cannotSign }
                unsafe privateKeys.append(Handle(pointer: key))
            }
        }
    }

    deinit {
        for hash in hashes { unsafe EVP_MAC_CTX_free(hash.pointer) }
        for key in privateKeys { unsafe EVP_PKEY_free(key.pointer) }
    }

    /// True when nothing is signed.
    var isEmpty: Bool { hashes.isEmpty && privateKeys.isEmpty }

    /// Appends the signatures, a space between them: `v1,` for each shared secret and `v1a,` for each private key.
    /// `prefix` is `id.timestamp.`.
    func append(
        signaturesOf prefix: RawSpan, _ body: RawSpan, to output: inout OutputBuffer
    ) throws(ConnectorFailure) {
        var isFirst = true
        for hash in hashes {
            output.append(isFirst ? "v1," : " v1,")
            isFirst = false
            try unsafe appendHash(hash.pointer, prefix, body, to: &output)
        }
        if privateKeys.isEmpty { return }
        // Ed25519 wants what it signs in one piece.
        var content = OutputBuffer(capacity: prefix.byteCount + body.byteCount)
        content.append(prefix)
        content.append(body)
        for key in privateKeys {
            output.append(isFirst ? "v1a," : " v1a,")
            isFirst = false
            try unsafe appendSignature(key.pointer, content, to: &output)
        }
    }

    private func appendHash(
        _ hash: OpaquePointer, _ prefix: RawSpan, _ body: RawSpan, to output: inout OutputBuffer
    ) throws(ConnectorFailure) {
        var result = InlineArray<32, UInt8>(repeating: 0)
        var bytes = result.mutableSpan
        let isDone = unsafe bytes.withUnsafeMutableBufferPointer { target in
            var written = 0
            // Without a key the context begins anew with the one that it has.
            return unsafe EVP_MAC_init(hash, nil, 0, nil) == 1 && update(hash, prefix) && update(hash, body)
                && EVP_MAC_final(hash, target.baseAddress, &written, 32) == 1 && written == 32
        }
        guard isDone else { throw WebhookFailure.cannotSign }
        unsafe output.append(base64: result.span.bytes)
    }

    private func update(_ hash: OpaquePointer, _ bytes: RawSpan) -> Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            let start = unsafe bytes.assumingMemoryBound(to: UInt8.self).baseAddress
            return unsafe bytes.isEmpty || EVP_MAC_update(hash, start, bytes.count) == 1
        }
    }

    private func appendSignature(
        _ key: OpaquePointer, _ content: borrowing OutputBuffer, to output: inout OutputBuffer
    ) throws(ConnectorFailure) {
        guard let context = unsafe EVP_MD_CTX_new() else { throw WebhookFailure.cannotSign }
        defer { unsafe EVP_MD_CTX_free(context) }
        var result = InlineArray<64, UInt8>(repeating: 0)
        var bytes = result.mutableSpan
        let isDone = unsafe bytes.withUnsafeMutableBufferPointer { target in
            unsafe content.bytes.withUnsafeBytes { content in
                let start = unsafe content.assumingMemoryBound(to: UInt8.self).baseAddress
                var length = 64
                return unsafe EVP_DigestSignInit(context, nil, nil, nil, key) == 1
                    && EVP_DigestSign(context, target.baseAddress, &length, start, content.count) == 1 && length == 64
            }
        }
        guard isDone else { throw WebhookFailure.cannotSign }
        unsafe output.append(base64: result.span.bytes)
    }

    private static func hash(_ key: [UInt8]) -> OpaquePointer? {
        guard let method = unsafe EVP_MAC_fetch(nil, "HMAC", nil) else { return nil }
        defer { unsafe EVP_MAC_free(method) }
        guard let context = unsafe EVP_MAC_CTX_new(method) else { return nil }
        // The parameter points to both texts, so both must outlive the call that reads it.
        let isReady = unsafe "digest".withCString { name in
            unsafe "SHA256".withCString { value in
                let digest = unsafe OSSL_PARAM_construct_utf8_string(name, UnsafeMutablePointer(mutating: value), 0)
                let parameters = unsafe [digest, OSSL_PARAM_construct_end()]
                return unsafe EVP_MAC_init(context, key, key.count, parameters)
            }
        }
        if isReady == 1 { return unsafe context }
        unsafe EVP_MAC_CTX_free(context)
        return nil
    }

    /// Appends the SHA-256 of `bytes` as small hexadecimal digits, cut to 32 of them.
    static func append(digestOf bytes: RawSpan, to output: inout OutputBuffer) throws(ConnectorFailure) {
        var result = InlineArray<32, UInt8>(repeating: 0)
        var span = result.mutableSpan
        let isDone = unsafe span.withUnsafeMutableBufferPointer { target in
            unsafe bytes.withUnsafeBytes { bytes in
                unsafe EVP_Digest(bytes.baseAddress, bytes.count, target.baseAddress, nil, EVP_sha256(), nil) == 1
            }
        }
        guard isDone else { throw WebhookFailure.cannotSign }
        for place in 0..<16 {
            for digit in [result[place] >> 4, result[place] & 15] {
                output.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
    }
}

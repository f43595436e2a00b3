internal import ByteKit
private import CLibCrypto
internal import ConnectorKit

/// HMAC-SHA-256 under one key, many times.
///
/// See RFC 2104 and EVP_MAC(3). One task uses it at a time.
@safe final class KeyedHash: @unchecked Sendable {
    private let context: OpaquePointer

    /// Bytes of a hash.
    static let length = 32

    /// A hash under `key`.
    init(key: [UInt8]) throws(ConnectorFailure) {
        guard let method = unsafe EVP_MAC_fetch(nil, "HMAC", nil) else { throw MaskFailure.hashUnavailable() }
        defer { unsafe EVP_MAC_free(method) }
        guard let context = unsafe EVP_MAC_CTX_new(method) else { throw MaskFailure.hashUnavailable() }
        unsafe self.context = context
        // The parameter points to both texts, so both must outlive the call that reads it.
        let isReady = unsafe "digest".withCString { name in
            unsafe "SHA256".withCString { value in
                let digest = unsafe OSSL_PARAM_construct_utf8_string(name, UnsafeMutablePointer(mutating: value), 0)
                let parameters = unsafe [digest, OSSL_PARAM_construct_end()]
                return unsafe key.withUnsafeBufferPointer { key in
                    unsafe EVP_MAC_init(context, key.baseAddress, key.count, parameters)
                }
            }
        }
        guard isReady == 1 else { throw MaskFailure.hashUnavailable() }
    }

    deinit { unsafe EVP_MAC_CTX_free(context) }

    /// Appends the hash of `bytes` as 64 small hexadecimal digits.
    func append(hashOf bytes: RawSpan, to output: inout OutputBuffer) throws(ConnectorFailure) {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let isDone = unsafe withUnsafeMutableBytes(of: &words) { result in
            var written = 0
            let target = unsafe result.assumingMemoryBound(to: UInt8.self).baseAddress
            let isUpdated = unsafe bytes.withUnsafeBytes { bytes in
                let start = unsafe bytes.assumingMemoryBound(to: UInt8.self).baseAddress
                // Without a key the context begins anew with the one that it has.
                return unsafe EVP_MAC_init(context, nil, 0, nil) == 1
                    && (bytes.isEmpty || EVP_MAC_update(context, start, bytes.count) == 1)
            }
            return unsafe isUpdated && EVP_MAC_final(context, target, &written, Self.length) == 1
                && written == Self.length
        }
        guard isDone else { throw MaskFailure.hashUnavailable() }
        output.append(lowercaseHex: words.0)
        output.append(lowercaseHex: words.1)
        output.append(lowercaseHex: words.2)
        output.append(lowercaseHex: words.3)
    }
}

extension OutputBuffer {
    /// Eight bytes as they lie in memory, two digits each.
    fileprivate mutating func append(lowercaseHex word: UInt64) {
        var rest = UInt64(bigEndian: word)
        for _ in 0..<16 {
            let digit = UInt8(truncatingIfNeeded: rest >> 60)
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            rest <<= 4
        }
    }
}

import CNATS
import ConnectorKit
import Glibc

/// The client's options for one server, destroyed with this object.
@safe final class ConnectionOptions {
    /// For the client's functions.
    @unsafe var pointer: OpaquePointer { unsafe handle }
    private let handle: OpaquePointer
    /// What of the settings the options hold on to.
    private let seed: CText?

    /// Options for a connection to one server of the settings, of which the client makes no other by itself: after a
    /// loss it would send what it has gathered in an order of its own.
    init(_ settings: NATSSettings, _ server: ServerAddress) throws(ConnectorFailure) {
        var created: OpaquePointer?
        guard unsafe natsOptions_Create(&created) == NATS_OK, let options = unsafe created else {
            throw NATSFailure.connecting(NATS_NO_MEMORY, "no memory", to: server)
        }
        unsafe handle = options
        if case .key(_, let text) = settings.authentication { seed = CText(text) } else { seed = nil }
        try set(settings, server)
        try authenticate(settings, server)
        try secure(settings, server)
    }

    deinit { unsafe natsOptions_Destroy(handle) }

    private func set(_ settings: NATSSettings, _ server: ServerAddress) throws(ConnectorFailure) {
        let options = unsafe handle
        let answer = Int64(settings.answerTimeout.milliseconds)
        let steps: [natsStatus] = unsafe [
            natsOptions_SetURL(options, "nats://\(server.name)"),
            natsOptions_SetName(options, "millrace"),
            natsOptions_SetAllowReconnect(options, false),
            natsOptions_SetIgnoreDiscoveredServers(options, true),
            natsOptions_SetTimeout(options, Int64(settings.connectTimeout.milliseconds)),
            // A server that takes nothing must not hold the thread for ever.
            natsOptions_SetWriteDeadline(options, answer),
            // One message at a time is sent at once; else the client gathers some for a millisecond.
            natsOptions_SetSendAsap(options, settings.isShared),
            natsOptions_SetPingInterval(options, 20_000),
            natsOptions_SetMaxPingsOut(options, 2),
            // Without a handler of ours the client prints errors.
            natsOptions_SetErrorHandler(options, { _, _, _, _ in }, nil),
        ]
        for status in steps where status != NATS_OK {
            throw NATSFailure.connecting(status, NATSConnection.words(status), to: server)
        }
    }

    private func authenticate(_ settings: NATSSettings, _ server: ServerAddress) throws(ConnectorFailure) {
        let options = unsafe handle
        let status: natsStatus
        var setting = "user"
        switch settings.authentication {
        case .none: return
        case .user(let name, let password): status = unsafe natsOptions_SetUserInfo(options, name, password)
        case .token(let token):
            setting = "token"
            status = unsafe natsOptions_SetToken(options, token)
        case .key(let name, _):
            setting = "nkey_seed"
            guard let seed, Self.isUsable(seed) else { throw NATSFailure.badFile(setting, "it is no valid seed") }
            status = unsafe natsOptions_SetNKey(options, name, Self.sign, seed.raw)
        case .credentials(let path):
            setting = "credentials"
            guard unsafe access(path, R_OK) == 0 else {
                throw NATSFailure.badFile(setting, "\(path) cannot be read")
            }
            status = unsafe natsOptions_SetUserCredentialsFromFiles(options, path, nil)
        }
        guard status == NATS_OK else { throw NATSFailure.badFile(setting, NATSConnection.words(status)) }
    }

    private static func isUsable(_ seed: CText) -> Bool {
        var signature: UnsafeMutablePointer<UInt8>?
        var length: Int32 = 0
        defer { unsafe free(signature) }
        return unsafe nats_Sign(seed.start, "x", &signature, &length) == NATS_OK
    }

    /// Signs what the server wants to see signed, with the seed that is handed in. The client frees the signature.
    private static let sign: natsSignatureHandler = { errorText, signature, length, nonce, seed in
        guard let seed = unsafe seed else { return NATS_INVALID_ARG }
        return unsafe nats_Sign(seed.assumingMemoryBound(to: CChar.self), nonce, signature, length)
    }

    /// Every server's certificate is checked against the host that its address names, whether the address or the server
    /// asks for TLS: the client checks no name unless it is told one.
    private func secure(_ settings: NATSSettings, _ server: ServerAddress) throws(ConnectorFailure) {
        let options = unsafe handle
        var status = unsafe natsOptions_SetExpectedHostname(options, server.host)
        guard status == NATS_OK else {
            throw NATSFailure.connecting(status, NATSConnection.words(status), to: server)
        }
        if server.isSecure || settings.tls.isUsed { status = unsafe natsOptions_SetSecure(options, true) }
        guard status == NATS_OK else {
            throw NATSFailure.connecting(status, NATSConnection.words(status), to: server)
        }
        if let path = settings.tls.authority {
            status = unsafe natsOptions_LoadCATrustedCertificates(options, path)
            guard status == NATS_OK else { throw NATSFailure.badFile("tls.ca", NATSConnection.words(status)) }
        }
        if let certificate = settings.tls.certificate, let key = settings.tls.key {
            status = unsafe natsOptions_LoadCertificatesChain(options, certificate, key)
            guard status == NATS_OK else { throw NATSFailure.badFile("tls.certificate", NATSConnection.words(status)) }
        }
    }
}

/// A text with a zero byte behind it, at a place that does not change.
@safe final class CText {
    /// The first byte.
    @unsafe let start: UnsafeMutablePointer<CChar>
    @unsafe var raw: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(start) }

    init(_ text: String) { unsafe start = strdup(text) }

    deinit { unsafe free(start) }
}

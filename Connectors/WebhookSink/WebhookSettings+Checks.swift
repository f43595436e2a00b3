internal import ByteKit
internal import ConnectorKit

extension WebhookSettings {
    static func checkedURL(_ text: String, _ allowsPrivate: Bool) throws(SettingProblem) -> WebhookURL {
        guard let url = WebhookURL(text) else {
            throw SettingProblem(
                "url", "is no HTTP address",
                hint: "write https://host/path; a name in other letters than ASCII as xn--...")
        }
        if !allowsPrivate, url.isPrivateAddress {
            throw SettingProblem(
                "url", "names an address that is not public",
                hint: "set allow_private_addresses: true when events may go to it")
        }
        return url
    }

    static func secrets(_ values: SettingValues) throws(SettingProblem) -> [WebhookSecret] {
        var secrets: [WebhookSecret] = []
        let first = values.text("secret").map { [("secret", $0)] } ?? []
        let further = (values.list("further_secrets") ?? []).enumerated().map { ("further_secrets[\($0)]", $1) }
        for (setting, text) in first + further {
            do throws(WebhookSecret.Malformed) {
                secrets.append(try WebhookSecret(text))
            } catch {
                throw SettingProblem(
                    setting, error.reason,
                    hint: "make one with: echo \"whsec_$(openssl rand -base64 32)\"")
            }
        }
        return secrets
    }

    static func checkedHeaders(_ headers: [String: String]) throws(SettingProblem) -> [String: String] {
        var seen: Set<String> = []
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            let small = name.lowercased()
            guard !name.isEmpty, name.utf8.allSatisfy(isTokenByte) else {
                throw SettingProblem("headers", "has a name that no header can have", hint: "use letters, digits and -")
            }
            guard !reserved.contains(small), !small.hasPrefix("ce-"), !small.hasPrefix("webhook-") else {
                throw SettingProblem("headers.\(name)", "is a header that Millrace sets itself", hint: "take it out")
            }
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                throw SettingProblem("headers.\(name)", "holds control characters", hint: "write it on one line")
            }
            guard seen.insert(small).inserted else {
                throw SettingProblem("headers.\(name)", "stands twice, with other capitals", hint: "keep one of them")
            }
        }
        return headers
    }

    static func recordHeaders(_ values: SettingValues) throws(SettingProblem) -> RecordHeaders {
        var headers = RecordHeaders()
        headers.prefix = values.text("prefix") ?? headers.prefix
        headers.isBase64 = values.flag("base64") ?? headers.isBase64
        let small = headers.prefix.lowercased()
        let taken = reserved.union(["authorization", "ce-", "webhook-"])
        guard (1...64).contains(small.utf8.count), small.utf8.allSatisfy(isTokenByte),
            !taken.contains(where: { $0.hasPrefix(small) || small.hasPrefix($0) })
        else {
            throw SettingProblem(
                "record_headers.prefix", "cannot begin the names of headers",
                hint: "write letters and a -, such as \(RecordHeaders().prefix)")
        }
        return headers
    }

    /// Headers that would break requests, or that say what only the sink knows.
    private static let reserved: Set<String> = [
        "content-type", "content-length", "transfer-encoding", "connection", "host", "expect", "te", "upgrade",
        "trailer", "keep-alive", "proxy-connection",
    ]

    /// True for a byte that may stand in the name of a header.
    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    static func authorization(
        _ values: SettingValues, _ url: WebhookURL, _ headers: [String: String]
    ) throws(SettingProblem) -> String? {
        let place = "authentication"
        let (bearer, user, password) = (values.text("bearer"), values.text("user"), values.text("password"))
        if bearer == nil, user == nil, password == nil { return nil }
        guard !headers.keys.contains(where: { $0.lowercased() == "authorization" }) else {
            throw SettingProblem(place, "and headers both set Authorization", hint: "keep one of them")
        }
        guard url.credentials == nil else {
            throw SettingProblem(place, "and the user of url both set Authorization", hint: "keep one of them")
        }
        if let bearer {
            guard user == nil, password == nil else {
                throw SettingProblem(place, "has both bearer and a user", hint: "keep one of them")
            }
            guard !bearer.isEmpty, bearer.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw SettingProblem("authentication.bearer", "is no token: it is empty, or has blanks in it")
            }
            return "Bearer \(bearer)"
        }
        guard let user, !user.contains(":") else {
            throw SettingProblem("authentication.user", "is missing, or has a colon in it")
        }
        return RequestHead.basic("\(user):\(password ?? "")")
    }

    static func files(_ values: SettingValues) throws(SettingProblem) -> TLS {
        let tls = TLS(
            authorities: values.text("ca"), certificate: values.text("certificate"), key: values.text("key"),
            keyPassword: values.text("key_password"))
        if tls.certificate == nil, tls.key != nil || tls.keyPassword != nil {
            throw SettingProblem(
                "tls.certificate", "is missing beside the key", hint: "name the file of the certificate")
        }
        return tls
    }
}

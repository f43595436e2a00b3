/// Which addresses of the network a request may go to.
///
/// Asked about each address right before it is connected to, because a name may stand for another address each time.
enum AddressRule {
    /// True for an IPv4 address, most significant byte first, that belongs to no network of special purpose (IANA's
    /// registry, RFC 6890): not this host, private, shared, link-local, multicast, reserved or for documentation.
    static func isPublic(v4 address: UInt32) -> Bool {
        for (base, bits) in specialV4 where (address ^ base) >> (32 - bits) == 0 { return false }
        return true
    }

    /// True for an IPv6 address of 16 bytes that is a global one, and, where it stands for an IPv4 address, for one
    /// that is public too.
    static func isPublic(v6 address: [UInt8]) -> Bool {
        guard address.count == 16 else { return false }
        let isZero = { (range: Range<Int>) in address[range].allSatisfy { $0 == 0 } }
        let v4 = { (start: Int) in address[start..<(start + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
        // IPv4-mapped ::ffff:0:0/96, IPv4-compatible ::/96 (with :: and ::1), translated ::ffff:0:0:0/96.
        if isZero(0..<10), address[10] == 0xFF, address[11] == 0xFF { return isPublic(v4: v4(12)) }
        if isZero(0..<12) { return v4(12) > 0xFFFF && isPublic(v4: v4(12)) }
        if isZero(0..<8), address[8] == 0xFF, address[9] == 0xFF, isZero(10..<12) { return isPublic(v4: v4(12)) }
        // NAT64: 64:ff9b::/96 stands for an IPv4 address; 64:ff9b:1::/48 is for local use (RFC 6052, RFC 8215).
        if address[0] == 0, address[1] == 0x64, address[2] == 0xFF, address[3] == 0x9B {
            return isZero(4..<12) && isPublic(v4: v4(12))
        }
        // 6to4 carries an IPv4 address behind 2002::/16.
        if address[0] == 0x20, address[1] == 0x02 { return isPublic(v4: v4(2)) }
        // Teredo 2001::/32, and 2001::/23 as a whole, which is for protocols; documentation 2001:db8::/32, 3fff::/20.
        if address[0] == 0x20, address[1] == 0x01, address[2] < 0x02 { return false }
        if address[0] == 0x20, address[1] == 0x01, address[2] == 0x0D, address[3] == 0xB8 { return false }
        if address[0] == 0x3F, address[1] == 0xFF, address[2] < 0x10 { return false }
        // Only 2000::/3 is global unicast; the rest holds fc00::/7, fe80::/10, ff00::/8 and what is not assigned.
        return address[0] & 0xE0 == 0x20
    }

    private static let specialV4: [(base: UInt32, bits: UInt32)] = [
        (0x0000_0000, 8),  // this network
        (0x0A00_0000, 8),  // private
        (0x6440_0000, 10),  // shared, for carriers
        (0x7F00_0000, 8),  // loopback
        (0xA9FE_0000, 16),  // link-local
        (0xAC10_0000, 12),  // private
        (0xC000_0000, 24),  // protocols
        (0xC000_0200, 24),  // documentation
        (0xC058_6300, 24),  // 6to4 relays
        (0xC0A8_0000, 16),  // private
        (0xC612_0000, 15),  // benchmarks
        (0xC633_6400, 24),  // documentation
        (0xCB00_7100, 24),  // documentation
        (0xE000_0000, 4),  // multicast
        (0xF000_0000, 4),  // reserved, with broadcast
    ]
}

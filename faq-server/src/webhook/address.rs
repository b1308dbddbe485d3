//! Which addresses of the internet are whose.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who is reached at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Somebody on the public internet.
    Public,
    /// This machine, or a network behind the same door.
    Private,
    /// Nobody that a webhook could mean.
    Nobody,
}

impl Reach {
    pub(super) fn is_allowed(self, private_too: bool) -> bool {
        match self {
            Self::Public => true,
            Self::Private => private_too,
            Self::Nobody => false,
        }
    }
}

/// Who is reached at `ip`, by the special-purpose registries of IANA (RFC 6890 and what
/// followed it). An address that only carries another one inside it is taken for `Nobody`,
/// since what a gateway makes of it is unknown; a mapped IPv4 address is taken for what it is.
pub(super) fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => reach_v4(ip),
            None => reach_v6(ip),
        },
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        // Loopback, the private networks, and carriers' shared space.
        (127 | 10, _, _) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Reach::Private,
        // "This network", link-local, protocol assignments, documentation, the old 6to4 relay,
        // benchmarking, multicast, reserved and broadcast.
        (0 | 224.., _, _)
        | (169, 254, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113) => Reach::Nobody,
        _ => Reach::Public,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    let [a, b, ..] = ip.segments();
    match (a, b) {
        _ if ip.is_loopback() => Reach::Private,
        // Unique local addresses.
        (0xfc00..=0xfdff, _) => Reach::Private,
        // Within global unicast: protocol assignments with Teredo and ORCHID, documentation
        // twice, 6to4.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) | (0x2002, _) => Reach::Nobody,
        // Global unicast as far as it is assigned.
        (0x2000..=0x3fff, _) => Reach::Public,
        // Unspecified, NAT64, link-local, site-local, multicast and all that has no use yet.
        _ => Reach::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(reached: Reach, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(reach(address.parse().unwrap()), reached, "{address}");
        }
    }

    #[test]
    fn public_addresses_are_public() {
        all(
            Reach::Public,
            &[
                "1.1.1.1",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "2001:200::",
                "2001:4860:4860::8888",
                "2606:4700::1111",
                "2a00:1450::1",
                "::ffff:8.8.8.8",
            ],
        );
    }

    #[test]
    fn networks_behind_the_door_are_private() {
        all(
            Reach::Private,
            &[
                "127.0.0.1",
                "127.255.255.254",
                "10.0.0.0",
                "10.255.255.255",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.0.1",
                "192.168.255.255",
                "100.64.0.0",
                "100.127.255.255",
                "::1",
                "fc00::1",
                "fd00:ec2::254",
                "fdff:ffff::1",
                "::ffff:127.0.0.1",
                "::ffff:10.1.2.3",
            ],
        );
    }

    #[test]
    fn nobody_lives_at_the_special_ones() {
        all(
            Reach::Nobody,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "169.254.0.1",
                "169.254.169.254",
                "192.0.0.1",
                "192.0.2.1",
                "192.88.99.1",
                "198.18.0.1",
                "198.19.255.255",
                "198.51.100.7",
                "203.0.113.9",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::7f00:1",
                "::ffff:169.254.169.254",
                "::ffff:0.0.0.0",
                "64:ff9b::7f00:1",
                "64:ff9b:1::1",
                "100::1",
                "2001::1",
                "2001:db8::1",
                "2001:20::1",
                "2002:7f00:1::",
                "3fff::1",
                "4000::1",
                "5f00::1",
                "fe80::1",
                "febf::1",
                "fec0::1",
                "ff02::1",
            ],
        );
    }
}

//! Who really asks, behind proxies that are ours: `X-Forwarded-For` counts as far as those who wrote it are trusted.

use axum::http::HeaderMap;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses whose word on who asked is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<(IpAddr, u8)>);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network such as 10.0.0.0/8")]
pub struct NoNetwork(String);

impl FromStr for Proxies {
    type Err = NoNetwork;

    /// Addresses and networks with commas; empty is nobody.
    fn from_str(text: &str) -> Result<Proxies, NoNetwork> {
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let network = |word: &str| {
            let (address, bits) = match word.split_once('/') {
                Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
                None => (word, None),
            };
            let address: IpAddr = address.parse().ok()?;
            let all = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(all);
            (bits <= all).then_some((address, bits))
        };
        words
            .map(|word| network(word).ok_or_else(|| NoNetwork(word.to_owned())))
            .collect::<Result<_, _>>()
            .map(Proxies)
    }
}

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        let (family, address) = number(address);
        self.0.iter().any(|(network, length)| {
            let (of, network) = number(*network);
            // The bits that may differ; a shift by all of them leaves none.
            let free = of - u32::from(*length).min(of);
            of == family && (network ^ address).checked_shr(free).unwrap_or(0) == 0
        })
    }

    /// The first address, from the nearest on, that is none of ours.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let told = headers
            .get_all("x-forwarded-for")
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .collect::<Vec<_>>()
            .join(",");
        let mut client = peer;
        for word in told.rsplit(',').map(str::trim) {
            let Ok(address) = word.parse::<IpAddr>() else {
                break;
            };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }
}

/// How many bits its family has, and the address as a number; an IPv4 address is one however it is written.
fn number(address: IpAddr) -> (u32, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => (32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, told: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in told {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let proxies: Proxies = trusted.parse().unwrap();
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asked() {
        let told = &["203.0.113.7"];
        assert_eq!(client("", "127.0.0.1", told), "127.0.0.1");
        assert_eq!(client("127.0.0.1", "192.0.2.1", told), "192.0.2.1");
        assert_eq!(client("127.0.0.1", "127.0.0.1", told), "203.0.113.7");
        assert_eq!(client("127.0.0.1", "::ffff:127.0.0.1", told), "203.0.113.7");
        assert_eq!(client("127.0.0.0/8", "127.9.9.9", &[]), "127.9.9.9");
        assert_eq!(client("::/0", "2001:db8::1", told), "203.0.113.7");
        assert_eq!(client("0.0.0.0/0", "2001:db8::1", told), "2001:db8::1");
    }

    #[test]
    fn what_a_client_wrote_itself_is_not_believed() {
        let trusted = "10.0.0.0/8, 127.0.0.1";
        let told = &["1.1.1.1, 198.51.100.9, 10.1.2.3"];
        assert_eq!(client(trusted, "127.0.0.1", told), "198.51.100.9");
        let told = &["1.1.1.1", "198.51.100.9", "10.1.2.3"];
        assert_eq!(client(trusted, "127.0.0.1", told), "198.51.100.9");
        let told = &["198.51.100.9, unknown, 10.1.2.3"];
        assert_eq!(client(trusted, "127.0.0.1", told), "10.1.2.3");
    }

    #[test]
    fn a_network_is_written_as_one() {
        for bad in ["localhost", "10.0.0.0/33", "10.0.0.0/x", "::/129"] {
            assert!(bad.parse::<Proxies>().is_err(), "{bad}");
        }
        assert_eq!("".parse::<Proxies>(), Ok(Proxies::default()));
    }
}

//! Where bytes come from and go to.

use bytes::Bytes;
use std::net::SocketAddr;

/// Only UDP is driven so far; the others are words for what a flow may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    /// The word in Via.
    pub fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }
    /// Reliable transports carry no retransmissions of ours (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }
}

/// One pair of addresses (for UDP) or one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    pub transport: Transport,
    /// Our socket.
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

impl Flow {
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            local,
            remote,
        }
    }
}

/// Bytes that must leave now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    pub flow: Flow,
    pub bytes: Bytes,
}

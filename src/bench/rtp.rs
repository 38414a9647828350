//! A load of RTP: G.711 packets of 20 ms on many streams, evenly spread; each carries the moment it left, so whoever gets it
//! knows how long it took.

use super::report::percentile;
use anyhow::Result;
use engine::clock::Clock;
use model::Mono;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

const PACKET: usize = 12 + 160;
const PERIOD: Duration = Duration::from_millis(20);
/// A-law.
const PAYLOAD_TYPE: u8 = 8;
/// A-law silence.
const SILENCE: u8 = 0xd5;

/// A stream's socket, before anybody knows where its packets go.
pub fn socket() -> Result<(UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    Ok((socket, local))
}

struct Stream {
    socket: UdpSocket,
    packet: [u8; PACKET],
    sequence: u16,
    timestamp: u32,
}

pub struct Generator {
    clock: Clock,
    epoll: OwnedFd,
    streams: Vec<Stream>,
    /// Packets begun with, over all streams.
    turn: u64,
    start: Mono,
    /// Of packets that left within it.
    window: (Mono, Mono),
    sent: u64,
    took: Vec<u32>,
}

/// What became of the packets of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    pub sent: u64,
    pub lost: u64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Generator {
    /// Streams that send to these addresses; what comes back to their sockets is counted.
    pub fn new(clock: Clock, streams: Vec<(UdpSocket, SocketAddr)>) -> Result<Generator> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut all = Vec::with_capacity(streams.len());
        for (index, (socket, to)) in streams.into_iter().enumerate() {
            socket.connect(to)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &socket, data, epoll::EventFlags::IN)?;
            let mut packet = [SILENCE; PACKET];
            packet[0] = 0x80;
            packet[1] = PAYLOAD_TYPE;
            packet[8..12].copy_from_slice(&(0x0be9_c000 + index as u32).to_be_bytes());
            all.push(Stream {
                socket,
                packet,
                sequence: 1,
                timestamp: 160,
            });
        }
        let start = clock.mono();
        Ok(Generator {
            clock,
            epoll,
            streams: all,
            turn: 0,
            start,
            window: (Mono::ZERO, Mono::ZERO),
            sent: 0,
            took: Vec::new(),
        })
    }

    /// Sends and receives for so long; `now_and_then` is called some fifty times a second.
    pub fn run(&mut self, how_long: Duration, now_and_then: &mut dyn FnMut()) {
        let until = self.clock.mono() + how_long;
        // After a pause between runs there is nothing to make up for.
        self.start = self.clock.mono();
        self.turn = 0;
        let mut look = self.start;
        loop {
            let now = self.clock.mono();
            if now >= until {
                return;
            }
            if now >= look {
                now_and_then();
                look = now + PERIOD;
            }
            while self.due() <= self.clock.mono() {
                self.send();
            }
            self.wait(self.due().min(until));
            self.receive();
        }
    }

    /// Runs, and tells what became of the packets that left meanwhile.
    pub fn measure(&mut self, how_long: Duration, now_and_then: &mut dyn FnMut()) {
        let now = self.clock.mono();
        self.window = (now, now + how_long);
        self.sent = 0;
        self.took.clear();
        self.run(how_long, now_and_then);
    }

    /// Of the window measured last, after stragglers have had their time.
    pub fn delivered(&mut self) -> Delivered {
        self.run(Duration::from_millis(300), &mut || ());
        self.took.sort_unstable();
        let at = |share| Duration::from_micros(percentile(&self.took, share).unwrap_or(0).into());
        Delivered {
            sent: self.sent,
            lost: self.sent.saturating_sub(self.took.len() as u64),
            p50: at(0.5),
            p99: at(0.99),
        }
    }

    fn due(&self) -> Mono {
        let streams = self.streams.len().max(1) as u64;
        let nanos = self.turn * PERIOD.as_nanos() as u64 / streams;
        self.start + Duration::from_nanos(nanos)
    }

    fn send(&mut self) {
        let index = (self.turn % self.streams.len() as u64) as usize;
        self.turn += 1;
        let stream = &mut self.streams[index];
        let now = self.clock.mono();
        stream.packet[2..4].copy_from_slice(&stream.sequence.to_be_bytes());
        stream.packet[4..8].copy_from_slice(&stream.timestamp.to_be_bytes());
        stream.packet[12..20].copy_from_slice(&now.as_nanos().to_be_bytes());
        stream.sequence = stream.sequence.wrapping_add(1);
        stream.timestamp = stream.timestamp.wrapping_add(160);
        if now >= self.window.0 && now < self.window.1 {
            self.sent += 1;
        }
        // Refused for a moment or unreachable: it counts as lost.
        stream.socket.send(&stream.packet).ok();
    }

    fn wait(&self, until: Mono) {
        let pause = self.clock.until(until);
        let pause = Timespec {
            tv_sec: pause.as_secs() as i64,
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        // epoll counts in milliseconds; poll on it does not.
        poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&pause)).ok();
    }

    fn receive(&mut self) {
        let mut ready = [MaybeUninit::uninit(); 256];
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let Ok((events, _)) = epoll::wait(self.epoll.as_fd(), &mut ready[..], Some(&none)) else {
            return;
        };
        let mut buffer = [0; 1600];
        for event in events.iter() {
            let stream = &self.streams[event.data.u64() as usize];
            let Ok(length) = stream.socket.recv(&mut buffer) else {
                continue;
            };
            let now = self.clock.mono();
            if let Some(left) = stamp(&buffer[..length])
                && left >= self.window.0
                && left < self.window.1
            {
                self.took.push(now.since(left).as_micros() as u32);
            }
        }
    }
}

/// When a packet of ours left.
fn stamp(packet: &[u8]) -> Option<Mono> {
    if packet.len() != PACKET || packet[1] & 0x7f != PAYLOAD_TYPE {
        return None;
    }
    let nanos: [u8; 8] = packet[12..20].try_into().ok()?;
    Some(Mono::from_nanos(u64::from_be_bytes(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_streams_sent_to_each_other_lose_nothing() {
        let clock = Clock::start();
        let ((a, at_a), (b, at_b)) = (socket().unwrap(), socket().unwrap());
        let mut generator = Generator::new(clock, vec![(a, at_b), (b, at_a)]).unwrap();
        generator.measure(Duration::from_millis(200), &mut || ());
        let delivered = generator.delivered();
        assert!((18..=22).contains(&delivered.sent), "{delivered:?}");
        assert_eq!(delivered.lost, 0);
    }
}

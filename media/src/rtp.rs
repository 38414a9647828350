//! RTP packets (RFC 3550): reading and building by rtp-rs, re-addressing in place, and the sender that keeps one
//! sequence and one clock whatever feeds it.

use crate::FRAME;
use model::Mono;
use rtp_rs::{RtpPacketBuilder, RtpReader, Seq};

pub const HEADER: usize = 12;
/// What a 20 ms G.711 packet needs.
pub const PACKET: usize = HEADER + FRAME;

/// The parts of a received packet this crate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Where the payload lies, padding excluded.
    pub payload: (usize, usize),
}

impl Received {
    /// `None` for whatever is no well-formed RTP packet.
    pub fn parse(packet: &[u8]) -> Option<Received> {
        let reader = RtpReader::new(packet).ok()?;
        let start = reader.payload_offset();
        Some(Received {
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
            payload: (start, start + reader.payload().len()),
        })
    }
}

/// RTCP on the RTP port (RFC 5761 §4): its packet types look like payload types 64 to 95 with the marker set.
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() >= 8 && packet[0] >> 6 == 2 && (192..=223).contains(&packet[1])
}

/// Writes a packet into `buffer` and returns its length; 0 when it does not fit.
pub fn build(
    buffer: &mut [u8],
    payload_type: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: &[u8],
) -> usize {
    RtpPacketBuilder::new()
        .payload_type(payload_type)
        .marked(marker)
        .sequence(Seq::from(sequence))
        .timestamp(timestamp)
        .ssrc(ssrc)
        .payload(payload)
        .build_into(buffer)
        .unwrap_or(0)
}

/// The outgoing stream of one leg.
#[derive(Clone, Debug)]
pub struct Sender {
    ssrc: u32,
    next_sequence: u16,
    /// The newest packet sent: when, and its timestamp. The next one's timestamp follows the clock from here.
    newest: Option<(Mono, u32)>,
    first_timestamp: u32,
    splice: Option<Splice>,
    packets: u64,
}

/// How a forwarded stream maps onto ours.
#[derive(Clone, Debug)]
struct Splice {
    ssrc: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// First and newest sequence numbers of the source under this splice.
    first: u16,
    newest: u16,
}

/// A source that leaps further than this has started anew (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3000;

impl Sender {
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Sender {
        Sender {
            ssrc,
            next_sequence: sequence,
            newest: None,
            first_timestamp: timestamp,
            splice: None,
            packets: 0,
        }
    }

    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Forgets the forwarded source, so that its next packet joins our clock anew.
    pub fn unsplice(&mut self) {
        self.splice = None;
    }

    /// The timestamp of a packet whose first sample is due at `at`, and that becomes the newest.
    pub fn advance(&mut self, at: Mono) -> u32 {
        let timestamp = match self.newest {
            None => self.first_timestamp,
            Some((then, timestamp)) => {
                let samples = (at.since(then).as_nanos() / 125_000) as u32;
                timestamp.wrapping_add(samples.max(FRAME as u32))
            }
        };
        self.newest = Some((at, timestamp));
        timestamp
    }

    /// Builds the next packet of our own.
    pub fn packet<'b>(
        &mut self,
        buffer: &'b mut [u8; PACKET],
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
    ) -> &'b [u8] {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        self.packets += 1;
        let length = build(
            buffer,
            payload_type,
            marker,
            sequence,
            timestamp,
            self.ssrc,
            payload,
        );
        &buffer[..length]
    }

    /// Rewrites another stream's packet into ours, in place. `false`: it is older than the splice, and its number is taken.
    pub fn readdress(
        &mut self,
        now: Mono,
        received: &Received,
        payload_type: u8,
        packet: &mut [u8],
    ) -> bool {
        let follows = self.splice.as_ref().is_some_and(|splice| {
            let ahead = received.sequence.wrapping_sub(splice.newest);
            splice.ssrc == received.ssrc && !(MAX_DROPOUT..u16::MAX - 100).contains(&ahead)
        });
        let mut marker = received.marker;
        if !follows {
            let timestamp = self.advance(now);
            self.splice = Some(Splice {
                ssrc: received.ssrc,
                sequence_offset: self.next_sequence.wrapping_sub(received.sequence),
                timestamp_offset: timestamp.wrapping_sub(received.timestamp),
                first: received.sequence,
                newest: received.sequence.wrapping_sub(1),
            });
            marker = true;
        }
        let Some(splice) = &mut self.splice else {
            return false;
        };
        if received.sequence.wrapping_sub(splice.first) > u16::MAX / 2 {
            // Wrapped past half the range is no reordering: the base moves with the stream below.
            return false;
        }
        let sequence = received.sequence.wrapping_add(splice.sequence_offset);
        let timestamp = received.timestamp.wrapping_add(splice.timestamp_offset);
        let ahead = received.sequence.wrapping_sub(splice.newest);
        if ahead != 0 && ahead < MAX_DROPOUT {
            splice.newest = received.sequence;
            self.next_sequence = sequence.wrapping_add(1);
            // A telephone-event repeats its timestamp: only its first packet tells the time.
            if self.newest.is_none_or(|(_, newest)| newest != timestamp) {
                self.newest = Some((now, timestamp));
            }
            if splice.newest.wrapping_sub(splice.first) > 1000 {
                splice.first = splice.newest.wrapping_sub(500);
            }
        }
        packet[1] = payload_type | if marker { 0x80 } else { 0 };
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        self.packets += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }
    fn packet(sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
        let mut buffer = [0; PACKET];
        let n = build(
            &mut buffer,
            8,
            false,
            sequence,
            timestamp,
            ssrc,
            &[0x55; 160],
        );
        buffer[..n].to_vec()
    }
    fn forward(sender: &mut Sender, now: Mono, mut packet: Vec<u8>) -> Option<Received> {
        let received = Received::parse(&packet).unwrap();
        sender
            .readdress(now, &received, 8, &mut packet)
            .then(|| Received::parse(&packet).unwrap())
    }

    #[test]
    fn a_forwarded_stream_continues_our_numbers_and_a_new_source_continues_them_again() {
        let mut sender = Sender::new(7, 65534, u32::MAX - 100);
        let mut buffer = [0; PACKET];
        let first = sender.advance(at(0));
        let own = Received::parse(sender.packet(&mut buffer, 8, true, first, &[0; 160])).unwrap();
        assert_eq!(
            (own.sequence, own.timestamp, own.ssrc),
            (65534, u32::MAX - 100, 7)
        );

        let a = forward(&mut sender, at(40), packet(100, 5000, 1)).unwrap();
        assert_eq!((a.sequence, a.ssrc, a.marker), (65535, 7, true));
        assert_eq!(a.timestamp.wrapping_sub(own.timestamp), 320, "40 ms later");
        let b = forward(&mut sender, at(60), packet(101, 5160, 1)).unwrap();
        assert_eq!((b.sequence, b.marker), (0, false));
        assert_eq!(b.timestamp.wrapping_sub(a.timestamp), 160);

        let c = forward(&mut sender, at(80), packet(9, 77, 2)).unwrap();
        assert_eq!((c.sequence, c.marker), (1, true));
        assert_eq!(c.timestamp.wrapping_sub(b.timestamp), 160);
    }

    #[test]
    fn reordering_keeps_its_order_and_what_is_older_than_the_splice_is_dropped() {
        let mut sender = Sender::new(7, 10, 0);
        assert_eq!(
            forward(&mut sender, at(0), packet(500, 0, 1))
                .unwrap()
                .sequence,
            10
        );
        assert_eq!(
            forward(&mut sender, at(20), packet(502, 320, 1))
                .unwrap()
                .sequence,
            12
        );
        assert_eq!(
            forward(&mut sender, at(21), packet(501, 160, 1))
                .unwrap()
                .sequence,
            11
        );
        assert!(forward(&mut sender, at(22), packet(499, 0, 1)).is_none());
        assert_eq!(
            forward(&mut sender, at(40), packet(503, 480, 1))
                .unwrap()
                .sequence,
            13
        );
    }

    #[test]
    fn sequence_numbers_wrap_many_times_under_one_splice() {
        let mut sender = Sender::new(7, 10, 0);
        for n in 0..200_000u32 {
            let now = at(u64::from(n) * 20);
            let out = forward(&mut sender, now, packet(n as u16, n.wrapping_mul(160), 1)).unwrap();
            assert_eq!(out.sequence, 10u16.wrapping_add(n as u16));
        }
    }

    #[test]
    fn what_is_no_rtp_is_refused() {
        assert_eq!(Received::parse(&[]), None);
        assert_eq!(Received::parse(&[0x80; 11]), None);
        assert_eq!(Received::parse(&[0x40; 40]), None, "version 1");
        let mut liar = packet(1, 1, 1);
        liar[0] |= 0x20;
        *liar.last_mut().unwrap() = 255;
        assert_eq!(Received::parse(&liar), None, "more padding than packet");
        assert!(is_rtcp(&[0x80, 200, 0, 1, 0, 0, 0, 0]));
        assert!(!is_rtcp(&packet(1, 1, 1)));
    }
}

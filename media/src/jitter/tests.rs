use super::*;
use crate::measure;
use proptest::prelude::*;

/// A sender of 20 ms packets of a ramp: each sample's value tells its place.
fn ramp(packet: u32) -> Vec<i16> {
    (0..160).map(|n| (packet * 160 + n + 1) as i16).collect()
}
fn buffer() -> JitterBuffer {
    JitterBuffer::new(JitterConfig::default())
}
const CLOCK: u32 = u32::MAX - 5_000;

fn push(buffer: &mut JitterBuffer, arrival: u32, packet: u32) -> Pushed {
    let sequence = 65_530u16.wrapping_add(packet as u16);
    buffer.push(
        arrival,
        1,
        sequence,
        CLOCK.wrapping_add(packet * 160),
        &ramp(packet),
    )
}
fn pull(buffer: &mut JitterBuffer) -> (Played, Pcm) {
    let mut pcm = [0; FRAME];
    (buffer.pull(&mut pcm), pcm)
}

#[test]
fn a_clean_stream_is_played_whole_in_order_over_the_wraps() {
    let mut buffer = buffer();
    let mut heard = Vec::new();
    for packet in 0..200 {
        push(&mut buffer, packet * 160, packet);
        let (played, pcm) = pull(&mut buffer);
        if played == Played::Sound {
            heard.extend_from_slice(&pcm);
        }
    }
    assert!(heard.len() >= 198 * 160, "{}", heard.len());
    // The first 5 ms fade in from silence; then each sample follows the last.
    assert!(heard[40..].windows(2).all(|w| w[1] == w[0].wrapping_add(1)));
    assert_eq!(buffer.concealed(), 0);
}

#[test]
fn reordered_and_doubled_packets_change_nothing() {
    let mut buffer = buffer();
    let mut heard = Vec::new();
    for packet in 0..100 {
        let n = match packet % 4 {
            1 => packet + 1,
            2 => packet - 1,
            _ => packet,
        };
        push(&mut buffer, packet * 160, n);
        assert_ne!(push(&mut buffer, packet * 160, n), Pushed::Kept);
        if let (Played::Sound, pcm) = pull(&mut buffer) {
            heard.extend_from_slice(&pcm);
        }
    }
    assert!(heard[40..].windows(2).all(|w| w[1] == w[0].wrapping_add(1)));
    assert_eq!(buffer.concealed(), 0);
}

#[test]
fn a_lost_packet_is_concealed_and_the_rest_keeps_its_time() {
    let mut buffer = buffer();
    let mut frames = Vec::new();
    for packet in 0..50 {
        if packet != 20 {
            push(&mut buffer, packet * 160, packet);
        }
        frames.push(pull(&mut buffer));
    }
    let lost: Vec<usize> = (0..50)
        .filter(|n| frames[*n].0 == Played::Concealed)
        .collect();
    assert_eq!(lost.len(), 1);
    let (before, after) = (frames[lost[0] - 1].1[159], frames[lost[0] + 1].1[100]);
    assert_eq!(
        after - before,
        160 + 101,
        "a whole frame passed for the lost one"
    );
    assert_eq!(buffer.concealed(), 1);
}

#[test]
fn a_late_packet_is_waited_for_and_played() {
    let mut buffer = buffer();
    let mut heard = Vec::new();
    for tick in 0..60u32 {
        // The network holds everything back for 60 ms, then delivers it at once.
        match tick {
            20..=22 => {}
            23 => {
                (20..=23).for_each(|n| assert_eq!(push(&mut buffer, tick * 160, n), Pushed::Kept))
            }
            _ => assert_eq!(push(&mut buffer, tick * 160, tick), Pushed::Kept),
        }
        if let (Played::Sound, pcm) = pull(&mut buffer) {
            heard.push(pcm[159]);
        }
    }
    assert!(
        heard.windows(2).all(|w| w[1] - w[0] == 160),
        "no packet was given up: {heard:?}"
    );
}

#[test]
fn the_delay_shrinks_again_when_the_network_calms_down() {
    let mut buffer = buffer();
    for tick in 0..1500u32 {
        if tick == 100 {
            (92..=100).for_each(|n| {
                push(&mut buffer, tick * 160, n);
            });
        } else if !(92..100).contains(&tick) {
            push(&mut buffer, tick * 160, tick);
        }
        pull(&mut buffer);
        if tick == 110 {
            assert!(buffer.depth() > 480, "{}", buffer.depth());
        }
    }
    assert!(buffer.depth() <= 480, "{} samples deep", buffer.depth());
}

#[test]
fn a_far_clock_too_fast_or_too_slow_by_a_promille_neither_drains_nor_floods_it() {
    for (numerator, denominator) in [(999u64, 1000u64), (1001, 1000)] {
        let mut buffer = buffer();
        let mut packet = 0u32;
        let (mut deepest, mut sound) = (0, 0);
        let tone = measure::tone(300.0, -12.0, 160 * 40);
        for tick in 0..15_000u64 {
            while u64::from(packet) * 160 * denominator <= tick * 160 * numerator {
                let from = packet as usize % 40 * 160;
                buffer.push(
                    tick as u32 * 160,
                    1,
                    packet as u16,
                    packet * 160,
                    &tone[from..from + 160],
                );
                packet += 1;
            }
            sound += usize::from(pull(&mut buffer).0 == Played::Sound);
            deepest = deepest.max(buffer.depth());
        }
        assert!(deepest < 160 * 6, "{deepest}");
        assert!(sound > 14_900, "{sound} of 15000 frames are sound");
    }
}

#[test]
fn a_leap_of_the_clock_forward_or_back_is_followed() {
    for leap in [
        100_000u32,
        0u32.wrapping_sub(100_000),
        2000,
        0u32.wrapping_sub(2000),
    ] {
        let mut buffer = buffer();
        let mut silent = 0;
        for tick in 0..100u32 {
            let clock = if tick < 50 { 0 } else { leap };
            let timestamp = (tick * 160).wrapping_add(clock);
            buffer.push(tick * 160, 1, tick as u16, timestamp, &[5000; 160]);
            silent += usize::from(pull(&mut buffer).0 != Played::Sound);
        }
        assert!(silent <= 8, "leap {leap}: {silent} frames without sound");
        assert!(
            buffer.depth() < 1000,
            "leap {leap}: {} deep",
            buffer.depth()
        );
    }
}

#[test]
fn a_new_source_is_played_from_its_first_packets() {
    let mut buffer = buffer();
    let mut silent = 0;
    for tick in 0..100u32 {
        let ssrc = if tick < 50 { 1 } else { 2 };
        let clock = ssrc * 77_000;
        buffer.push(
            tick * 160,
            ssrc,
            (tick + clock) as u16,
            tick * 160 + clock,
            &[5000; 160],
        );
        silent += usize::from(pull(&mut buffer).0 != Played::Sound);
    }
    assert!(silent <= 5, "{silent}");
}

#[test]
fn speech_after_a_long_pause_comes_without_the_pause_in_front() {
    let mut buffer = buffer();
    let mut first = None;
    for tick in 0..600u32 {
        if !(50..500).contains(&tick) {
            push(&mut buffer, tick * 160, tick);
        }
        let (played, _) = pull(&mut buffer);
        if tick >= 500 && played == Played::Sound {
            first.get_or_insert(tick);
        }
    }
    assert!(first.unwrap() <= 503, "{first:?}");
    assert!(buffer.depth() <= 640);
}

#[test]
fn packets_of_ten_thirty_and_sixty_milliseconds_are_all_the_same_to_it() {
    for length in [80u32, 240, 480] {
        let mut buffer = buffer();
        let (mut sent, mut quiet) = (0u32, 0);
        for tick in 0..300u32 {
            while sent * length <= tick * 160 {
                buffer.push(
                    tick * 160,
                    1,
                    sent as u16,
                    sent * length,
                    &vec![4000; length as usize],
                );
                sent += 1;
            }
            quiet += usize::from(pull(&mut buffer).0 != Played::Sound);
        }
        assert!(quiet <= 8, "{length}: {quiet}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Loss, delay (so reordering) and doubling in any mix: what is played only ever moves forward, the depth
    /// stays within the ring's share, and every frame is filled.
    #[test]
    fn the_cursor_only_moves_forward_and_the_depth_is_bounded(
        fates in proptest::collection::vec((0u32..100, 0u32..12, 0u32..100), 200),
    ) {
        let mut buffer = buffer();
        let mut arrivals: Vec<(u32, u32)> = Vec::new();
        for (packet, (lost, delay, doubled)) in fates.iter().enumerate() {
            if *lost >= 10 {
                arrivals.push((packet as u32 + delay, packet as u32));
            }
            if *doubled < 10 {
                arrivals.push((packet as u32 + delay + 3, packet as u32));
            }
        }
        arrivals.sort();
        let mut queue = arrivals.into_iter().peekable();
        let mut newest = 0i16;
        let mut was_sound = false;
        for tick in 0..230u32 {
            while let Some((_, packet)) = queue.next_if(|(at, _)| *at <= tick) {
                push(&mut buffer, tick * 160, packet);
            }
            let (played, pcm) = pull(&mut buffer);
            if played == Played::Sound {
                // The first 5 ms after a gap are blended with what was made up.
                let clear = if was_sound { &pcm[..] } else { &pcm[BLENDED..] };
                prop_assert!(clear.windows(2).all(|w| w[1] > w[0]), "{clear:?}");
                prop_assert!(clear[0] > newest, "{} after {newest}", clear[0]);
                newest = pcm[159];
            }
            was_sound = played == Played::Sound;
            prop_assert!(buffer.depth() <= RING);
        }
    }

    #[test]
    fn any_numbers_at_all_never_break_it(
        packets in proptest::collection::vec((any::<u16>(), any::<u32>(), 0u32..3, 0usize..1500), 0..300),
    ) {
        let mut buffer = buffer();
        for (n, (sequence, timestamp, ssrc, length)) in packets.into_iter().enumerate() {
            buffer.push(n as u32 * 80, ssrc, sequence, timestamp, &vec![1; length]);
            if n % 2 == 0 {
                pull(&mut buffer);
            }
            prop_assert!(buffer.depth() <= RING);
        }
    }
}
const BLENDED: usize = 40;

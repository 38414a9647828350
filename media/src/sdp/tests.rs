use super::*;

fn local() -> LocalParams {
    LocalParams::new("192.0.2.1:40000".parse().unwrap(), 77)
}
fn body(lines: &[&str]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\r\n"].concat())
        .collect()
}
const HEAD: [&str; 4] = ["v=0", "o=x 1 1 IN IP4 10.0.0.9", "s=call", "t=0 0"];
fn offered(lines: &[&str]) -> Vec<u8> {
    body(&[&HEAD[..], lines].concat())
}
fn remote(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn our_offer_meets_our_answer() {
    let us = local();
    let them = LocalParams {
        codecs: vec![Codec::Pcmu],
        ..LocalParams::new("[2001:db8::2]:5000".parse().unwrap(), 1)
    };
    let offer = offer(&us);
    let (answer, theirs) = answer(offer.as_bytes(), &them).unwrap();
    let ours = accept(&us, answer.as_bytes()).unwrap();
    assert_eq!((theirs.codec, ours.codec), (Codec::Pcmu, Codec::Pcmu));
    assert_eq!((theirs.dtmf, ours.dtmf), (Some(101), Some(101)));
    assert_eq!(theirs.remote, us.addr);
    assert_eq!(ours.remote, them.addr, "IPv6 and IPv4 both travel");
    assert_eq!(ours.direction, Direction::SendRecv);
}

#[test]
fn what_we_write_another_parser_reads() {
    let offer = offer(&local());
    let session = sdp_types::Session::parse(offer.as_bytes()).unwrap();
    assert_eq!(session.medias[0].port, 40000);
    assert_eq!(session.medias[0].fmt, "8 0 101");
    assert_eq!(session.origin.sess_id, "77");
    assert!(offer.lines().count() > 10 && offer.ends_with("\r\n"));
    let (answer, _) = answer(offer.as_bytes(), &local()).unwrap();
    assert_eq!(
        sdp_types::Session::parse(answer.as_bytes()).unwrap().medias[0].fmt,
        "8 101"
    );
}

#[test]
fn a_softphone_with_video_and_wide_codecs_gets_its_audio_answered() {
    let offer = offered(&[
        "c=IN IP4 198.51.100.7",
        "m=video 0 RTP/AVP 96",
        "m=audio 7078 RTP/AVP 96 97 8 0 101 100",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 useinbandfec=1",
        "a=rtpmap:97 SPEEX/16000",
        "a=rtpmap:101 telephone-event/48000",
        "a=rtpmap:100 telephone-event/8000",
        "a=ptime:30",
        "m=video 9078 RTP/AVP 97",
        "a=rtpmap:97 VP8/90000",
        "m=application 9 UDP/BFCP *",
    ]);
    let (answer, agreed) = answer(&offer, &local()).unwrap();
    assert_eq!(agreed.remote, remote("198.51.100.7:7078"));
    assert_eq!(
        (agreed.codec, agreed.payload_type, agreed.dtmf),
        (Codec::Pcma, 8, Some(100))
    );
    assert_eq!(agreed.ptime, Duration::from_millis(30));
    let streams: Vec<&str> = answer
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect();
    assert_eq!(
        streams,
        [
            "m=video 0 RTP/AVP 96",
            "m=audio 40000 RTP/AVP 8 100",
            "m=video 0 RTP/AVP 97",
            "m=application 0 UDP/BFCP *"
        ]
    );
}

#[test]
fn the_offerer_s_order_wins_and_dynamic_numbers_are_kept() {
    let offer = offered(&[
        "c=IN IP4 198.51.100.7",
        "m=audio 7078 RTP/AVP 108 8",
        "a=rtpmap:108 pcmu/8000/1",
    ]);
    let (answer, agreed) = answer(&offer, &local()).unwrap();
    assert_eq!(
        (agreed.codec, agreed.payload_type, agreed.dtmf),
        (Codec::Pcmu, 108, None)
    );
    assert!(answer.contains("m=audio 40000 RTP/AVP 108\r\na=rtpmap:108 PCMU/8000\r\n"));
}

#[test]
fn spellings_of_the_wild_are_read() {
    let table: &[(&str, &[u8])] = &[
        ("bare LF", b"v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 4000 RTP/AVP 0\n"),
        ("no final line end", b"v=0\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nm=audio 4000 RTP/AVP 0"),
        ("bare CR", b"v=0\rc=IN IP4 1.2.3.4\rm=audio 4000 RTP/AVP 0\r"),
        ("c= below m=", b"v=0\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 1.2.3.4\r\n"),
        ("both c=, the nearer wins", b"v=0\r\nc=IN IP4 9.9.9.9\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 1.2.3.4\r\n"),
        ("GBK session name", b"v=0\r\ns=\xba\xf4\xd3\xa6\r\nc=IN IP4 1.2.3.4\r\nm=audio 4000 RTP/AVP 0\r\n"),
        ("spaces and case", b"v=0\r\nc= IN  ip4  1.2.3.4 \r\nm=AUDIO 4000  rtp/avp  0 \r\na=RTPMAP:0  pcmu/8000\r\n"),
        ("ttl and port count", b"v=0\r\nc=IN IP4 1.2.3.4/127\r\nm=audio 4000/1 RTP/AVP 0\r\n"),
        ("empty lines and junk", b"v=0\r\n\r\nx\r\nzz=1\r\nc=IN IP4 1.2.3.4\r\nm=audio 4000 RTP/AVP 0\r\n"),
        ("feedback profile", b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 4000 RTP/AVPF 0\r\n"),
        ("a broken map of another format", b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 4000 RTP/AVP 300 x 0\r\na=rtpmap:\r\na=rtpmap:x y\r\n"),
    ];
    for (what, text) in table {
        let (_, agreed) = answer(text, &local()).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(
            (agreed.remote, agreed.codec),
            (remote("1.2.3.4:4000"), Codec::Pcmu),
            "{what}"
        );
    }
}

#[test]
fn holds_in_all_their_spellings() {
    let table = [
        (
            "a=sendonly",
            "198.51.100.7",
            Direction::RecvOnly,
            "a=recvonly",
        ),
        (
            "a=recvonly",
            "198.51.100.7",
            Direction::SendOnly,
            "a=sendonly",
        ),
        (
            "a=inactive",
            "198.51.100.7",
            Direction::Inactive,
            "a=inactive",
        ),
        (
            "a=sendrecv",
            "198.51.100.7",
            Direction::SendRecv,
            "a=sendrecv",
        ),
        ("a=x", "198.51.100.7", Direction::SendRecv, "a=sendrecv"),
        ("a=x", "0.0.0.0", Direction::RecvOnly, "a=recvonly"),
        ("a=sendonly", "0.0.0.0", Direction::RecvOnly, "a=recvonly"),
        ("a=inactive", "0.0.0.0", Direction::Inactive, "a=inactive"),
    ];
    for (attribute, address, direction, ours) in table {
        for at_session_level in [false, true] {
            let connection = format!("c=IN IP4 {address}");
            let mut lines = vec![connection.as_str(), "m=audio 7078 RTP/AVP 8"];
            lines.insert(if at_session_level { 1 } else { 2 }, attribute);
            let (answer, agreed) = answer(&offered(&lines), &local()).unwrap();
            assert_eq!(agreed.direction, direction, "{attribute} {address}");
            assert_eq!(agreed.on_hold(), !direction.sends());
            assert!(answer.contains(ours), "{attribute} {address}: {answer}");
        }
    }
}

#[test]
fn when_we_hold_the_answer_says_so() {
    let us = LocalParams {
        direction: Direction::SendOnly,
        version: 2,
        ..local()
    };
    assert!(offer(&us).contains("o=- 77 2 IN IP4 192.0.2.1\r\n"));
    let reply = offered(&[
        "c=IN IP4 198.51.100.7",
        "m=audio 7078 RTP/AVP 8",
        "a=recvonly",
    ]);
    assert_eq!(accept(&us, &reply).unwrap().direction, Direction::SendOnly);
}

#[test]
fn refusals_say_what_is_wrong() {
    let c = "c=IN IP4 198.51.100.7";
    let table: Vec<(Vec<u8>, SdpError)> = vec![
        (b"".to_vec(), SdpError::Malformed("does not begin with v=0")),
        (
            b"hello".to_vec(),
            SdpError::Malformed("does not begin with v=0"),
        ),
        (b"v=1\r\n".to_vec(), SdpError::Malformed("not version 0")),
        (vec![b'v'; 70_000], SdpError::Malformed("too long")),
        (
            offered(&[c, "m=audio"]),
            SdpError::Malformed("a stream without port and transport"),
        ),
        (
            offered(&[c, "m=audio 70000 RTP/AVP 0"]),
            SdpError::Malformed("a port that is no number"),
        ),
        (offered(&[c]), SdpError::NoAudio),
        (offered(&[c, "m=video 7078 RTP/AVP 8"]), SdpError::NoAudio),
        (offered(&[c, "m=audio 0 RTP/AVP 8"]), SdpError::AudioRefused),
        (
            offered(&[c, "m=audio 9 UDP/TLS/RTP/SAVPF 8"]),
            SdpError::Transport("UDP/TLS/RTP/SAVPF".into()),
        ),
        (offered(&["m=audio 7078 RTP/AVP 8"]), SdpError::NoAddress),
        (
            offered(&["c=IN IP4 phone.example", "m=audio 7078 RTP/AVP 8"]),
            SdpError::BadAddress("phone.example".into()),
        ),
        (
            offered(&["c=IN IP4 239.1.1.1", "m=audio 7078 RTP/AVP 8"]),
            SdpError::BadAddress("239.1.1.1".into()),
        ),
        (
            offered(&[
                c,
                "m=audio 7078 RTP/AVP 18 96 9",
                "a=rtpmap:96 opus/48000/2",
            ]),
            SdpError::NoCommonCodec("G729, opus/48000, G722".into()),
        ),
    ];
    for (text, error) in table {
        let found = answer(&text, &local()).unwrap_err();
        assert_eq!(
            found,
            error,
            "{}",
            String::from_utf8_lossy(&text[..text.len().min(200)])
        );
    }
}

#[test]
fn an_answer_that_refuses_or_takes_a_codec_not_offered_is_an_error() {
    let us = LocalParams {
        codecs: vec![Codec::Pcma],
        ..local()
    };
    let refused = offered(&["c=IN IP4 198.51.100.7", "m=audio 0 RTP/AVP 8"]);
    assert_eq!(accept(&us, &refused), Err(SdpError::AudioRefused));
    let foreign = offered(&["c=IN IP4 198.51.100.7", "m=audio 7078 RTP/AVP 0"]);
    assert_eq!(
        accept(&us, &foreign),
        Err(SdpError::NoCommonCodec("PCMU".into()))
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let _ = answer(&noise, &local());
    }

    #[test]
    fn no_mutation_of_a_real_offer_makes_it_panic(at in 0usize..300, byte: u8) {
        let mut text = offer(&local()).into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok((answer, _)) = answer(&text, &local()) {
            proptest::prop_assert!(sdp_types::Session::parse(answer.as_bytes()).is_ok(), "{answer}");
        }
    }
}

//! A media thread: owns one `media::Worker` and the sockets of its legs.
//!
//! It never wakes per packet. While it has legs it pauses 2 ms, then drains every socket that epoll says is ready and runs
//! the frames that are due: wake-ups, not packets, are the cost of a relay. Without legs it sleeps on its commands.

use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::metrics::WorkerMetrics;
use crate::recorder::StereoFrame;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use media::{Command, Event, Frame, Out, Pcm, Worker, WorkerConfig};
use model::LegId;
use rtrb::Producer;
use rustix::event::epoll;
use std::collections::{HashMap, VecDeque};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use switch::Input;
use tracing::{debug, error, warn};

/// How long packets gather.
const PAUSE: Duration = Duration::from_millis(2);
/// Larger than any RTP packet of ours; longer datagrams are cut and then refused.
const PACKET: usize = 1600;
const COMMANDS: usize = 16_384;
/// Sockets drained per round; a level-triggered epoll tells the rest at the next.
const READY: usize = 512;
/// Packets of one leg taken at one look at most: enough to catch up after a stall.
const ROUNDS: usize = 8;

pub(crate) enum WorkerCommand {
    Open {
        leg: LegId,
        socket: UdpSocket,
        start: Command,
    },
    Listen {
        leg: LegId,
        ring: Producer<Frame>,
    },
    Record {
        leg: LegId,
        ring: Producer<StereoFrame>,
    },
    Plain(Command),
}

pub(crate) struct MediaWorker {
    commands: Sender<WorkerCommand>,
}

impl MediaWorker {
    pub fn start(
        index: u16,
        clock: Clock,
        inbox: Inbox,
        counts: Arc<WorkerMetrics>,
    ) -> std::io::Result<MediaWorker> {
        let (commands, receiver) = bounded(COMMANDS);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let thread = Thread {
            clock,
            commands: receiver,
            worker: Worker::new(WorkerConfig::default()),
            counts,
            received: 0,
            told: (0, 0),
            shell: Shell {
                epoll,
                sockets: HashMap::new(),
                listening: HashMap::new(),
                recording: HashMap::new(),
                events: VecDeque::new(),
                closed: Vec::new(),
                inbox,
                sent: 0,
                dropped_frames: 0,
            },
        };
        std::thread::Builder::new()
            .name(format!("media-{index}"))
            .spawn(move || thread.run())?;
        Ok(MediaWorker { commands })
    }

    /// Waits for room when the worker is thousands of commands behind.
    pub fn push(&self, command: WorkerCommand) {
        self.commands.send(command).ok();
    }
}

/// Binds a leg's port; the address is where the node says our media is.
pub(crate) fn bind(address: IpAddr, port: u16) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::new(address, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

struct Socket {
    udp: UdpSocket,
    connected: bool,
}

/// What the worker's results go to.
struct Shell {
    epoll: OwnedFd,
    sockets: HashMap<LegId, Socket>,
    listening: HashMap<LegId, Producer<Frame>>,
    recording: HashMap<LegId, Producer<StereoFrame>>,
    /// For the node; kept here while its box is full.
    events: VecDeque<Event>,
    closed: Vec<LegId>,
    inbox: Inbox,
    /// Since they were last told.
    sent: u64,
    dropped_frames: u64,
}

impl Out for Shell {
    fn send(&mut self, leg: LegId, to: SocketAddr, packet: &[u8]) {
        let Some(socket) = self.sockets.get(&leg) else {
            return;
        };
        self.sent += 1;
        // RTP that cannot leave now is late anyway; an unreachable peer shows as silence.
        let _ = if socket.connected {
            socket.udp.send(packet)
        } else {
            socket.udp.send_to(packet, to)
        };
    }

    fn heard(&mut self, leg: LegId, frame: &Frame) {
        if let Some(ring) = self.listening.get_mut(&leg)
            && ring.push(frame.clone()).is_err()
        {
            self.dropped_frames += 1;
        }
    }

    fn recorded(&mut self, leg: LegId, at: u32, left: &Pcm, right: &Pcm) {
        if let Some(ring) = self.recording.get_mut(&leg) {
            let frame = StereoFrame {
                at,
                left: *left,
                right: *right,
            };
            if ring.push(frame).is_err() {
                // The recorder fills the hole with silence, so that offsets stay true.
                self.dropped_frames += 1;
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::SourceLocked { leg, remote } => {
                if let Some(socket) = self.sockets.get_mut(&leg) {
                    socket.connected = socket.udp.connect(remote).is_ok();
                }
            }
            Event::Closed { leg, .. } => self.closed.push(leg),
            _ => {}
        }
        self.events.push_back(event);
    }
}

impl Shell {
    /// Lets go of closed legs' sockets before the node hears of it: the port is free when it may be handed out again.
    fn deliver(&mut self) {
        for leg in self.closed.drain(..) {
            if let Some(socket) = self.sockets.remove(&leg) {
                epoll::delete(&self.epoll, &socket.udp).ok();
            }
            self.listening.remove(&leg);
            self.recording.remove(&leg);
        }
        while let Some(event) = self.events.pop_front() {
            if let Err(Input::Media(event)) = self.inbox.offer(Input::Media(event)) {
                self.events.push_front(event);
                break;
            }
        }
    }
}

struct Thread {
    clock: Clock,
    commands: Receiver<WorkerCommand>,
    worker: Worker,
    shell: Shell,
    counts: Arc<WorkerMetrics>,
    /// Packets since they were last told.
    received: u64,
    /// What was told of strangers and of packets that came too late.
    told: (u64, u64),
}

impl Thread {
    fn run(mut self) {
        let mut ready = [MaybeUninit::uninit(); READY];
        let mut packet = [0u8; PACKET];
        loop {
            if self.shell.sockets.is_empty() && self.shell.events.is_empty() {
                match self.commands.recv() {
                    Ok(command) => self.command(command),
                    Err(_) => break,
                }
            } else {
                let due = self.clock.mono() + PAUSE;
                self.clock.pause(PAUSE);
                self.counts.lateness.add(self.clock.mono().since(due));
            }
            loop {
                match self.commands.try_recv() {
                    Ok(command) => self.command(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.drain(&mut ready, &mut packet);
            self.worker.tick(self.clock.mono(), &mut self.shell);
            self.shell.deliver();
            self.tell();
        }
    }

    /// What this look counted, for whoever asks: once a look, not once a packet.
    fn tell(&mut self) {
        let counts = &self.counts;
        counts.received.add(std::mem::take(&mut self.received));
        counts.sent.add(std::mem::take(&mut self.shell.sent));
        counts.strangers.add(self.worker.strangers() - self.told.0);
        counts.late.add(self.worker.late() - self.told.1);
        self.told = (self.worker.strangers(), self.worker.late());
        let dropped = std::mem::take(&mut self.shell.dropped_frames);
        if dropped > 0 && counts.dropped_frames.get() == 0 {
            warn!(
                "frames are dropped: a reader does not keep up (told once; the metrics count on)"
            );
        }
        counts.dropped_frames.add(dropped);
    }

    /// Takes what is ready, one packet a socket and round, so that a burst on one leg does not hold up the others.
    fn drain(&mut self, ready: &mut [MaybeUninit<epoll::Event>], packet: &mut [u8]) {
        for _ in 0..ROUNDS {
            if !self.round(ready, packet) {
                break;
            }
        }
    }

    /// False when nothing was ready.
    fn round(&mut self, ready: &mut [MaybeUninit<epoll::Event>], packet: &mut [u8]) -> bool {
        let epoll = self.shell.epoll.as_fd();
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let events = match epoll::wait(epoll, &mut *ready, Some(&now)) {
            Ok((events, _)) => events,
            Err(error) => {
                error!(%error, "epoll");
                return false;
            }
        };
        let mono = self.clock.mono();
        for event in events.iter() {
            let leg = LegId(event.data.u64());
            let Some(socket) = self.shell.sockets.get(&leg) else {
                continue;
            };
            match socket.udp.recv_from(packet) {
                Ok((length, from)) => {
                    self.received += 1;
                    self.worker
                        .packet(mono, leg, from, &mut packet[..length], &mut self.shell);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // ICMP port unreachable arrives as an error of the connected socket; silence tells the rest.
                Err(error) => debug!(%error, leg = leg.0, "rtp receive"),
            }
        }
        !events.is_empty()
    }

    fn command(&mut self, command: WorkerCommand) {
        match command {
            WorkerCommand::Open { leg, socket, start } => {
                let interest = epoll::EventFlags::IN;
                let data = epoll::EventData::new_u64(leg.0);
                if let Err(error) = epoll::add(&self.shell.epoll, &socket, data, interest) {
                    error!(%error, "cannot watch a leg's socket");
                    self.shell.inbox.offer(Input::MediaFailed { leg }).ok();
                    return;
                }
                self.shell.sockets.insert(
                    leg,
                    Socket {
                        udp: socket,
                        connected: false,
                    },
                );
                self.worker
                    .command(self.clock.mono(), start, &mut self.shell);
            }
            WorkerCommand::Listen { leg, ring } => {
                self.shell.listening.insert(leg, ring);
                self.plain(Command::Listen { leg, on: true });
            }
            WorkerCommand::Record { leg, ring } => {
                self.shell.recording.insert(leg, ring);
                self.plain(Command::Record { leg, on: true });
            }
            WorkerCommand::Plain(command) => self.plain(command),
        }
    }

    fn plain(&mut self, command: Command) {
        if let Command::Connect { leg, .. } = &command
            && let Some(socket) = self.shell.sockets.get_mut(leg)
            && socket.connected
        {
            // A re-INVITE may have moved the far end: hear everybody again until the source is settled.
            rustix::net::connect_unspec(&socket.udp).ok();
            socket.connected = false;
        }
        self.worker
            .command(self.clock.mono(), command, &mut self.shell);
    }
}

//! A world as a value: whom to call and how they meet it, what goes wrong when. Drawn from a seed, and small enough to be taken
//! apart again.

use crate::callee::Line;
use crate::chance::Chance;
use crate::house;
use crate::peer::Manner;
use crate::shop::Flaw;
use crate::stage::Network;
use crate::trouble::{Kill, Kind, Trouble};
use std::fmt;

/// What to draw a world by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub leads: u32,
    pub seed: u64,
    /// Datagrams of a hundred.
    pub loss: u64,
    /// How often the process dies.
    pub kills: u32,
    pub faults: Vec<Kind>,
}

impl Options {
    /// Everything may go wrong.
    pub fn new(leads: u32, seed: u64) -> Options {
        Options {
            leads,
            seed,
            loss: 5,
            kills: 1,
            faults: Kind::ALL.to_vec(),
        }
    }
}

/// A lead and whoever answers there.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Names the lead; stays the same when others are taken away.
    pub n: u32,
    /// The number is the nth lead's: another's when it is on two lists.
    pub number: u32,
    /// In the second campaign.
    pub second: bool,
    /// On the do-not-call list before it is queued.
    pub suppressed: bool,
    pub manner: Manner,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub seed: u64,
    pub leads: Vec<Listed>,
    pub troubles: Vec<Trouble>,
    pub kills: Vec<Kill>,
    pub network: Network,
    /// Of each campaign.
    pub lines: u16,
    /// In the account until everything is mended, fen.
    pub balance: i64,
    #[doc(hidden)]
    pub flaw: Option<Flaw>,
}

/// What callees say.
const SAID: [&str; 10] = [
    "我是上班的",
    "可以",
    "利息是多少",
    "不需要",
    "做生意的",
    "今天天气不错",
    "你是机器人吗",
    "嗯",
    "好的",
    "不用了",
];
const VOICEMAIL: &str = "您好我现在无法接听您的电话请在提示音后留言";

impl Plan {
    pub fn draw(options: &Options) -> Plan {
        let Options {
            leads,
            seed,
            loss,
            kills,
            ref faults,
        } = *options;
        let mut chance = Chance::of(seed, 1 << 40);
        // A long list gets more of them.
        let lines = chance.between(2, 24).max(u64::from(leads) / 500).min(2000) as u16;
        let listed = (0..leads).map(|n| Listed::draw(seed, n)).collect();
        // About as long as the list takes.
        let span = 20_000 + u64::from(leads) * 25_000 / u64::from(lines);
        let how_many = match faults.is_empty() {
            true => 0,
            false => 4 + u64::from(leads).min(400) / 16 + chance.below(6),
        };
        let mut troubles = Vec::new();
        for _ in 0..how_many {
            if let Some(kind) = chance.one_of(faults).copied() {
                troubles.push(Trouble::draw(&mut chance, kind, span, leads));
            }
        }
        let kills = (0..kills).map(|_| Kill::draw(&mut chance, leads)).collect();
        let poor = faults.contains(&Kind::Campaign) && chance.percent(12);
        let balance = match poor {
            true => chance.between(5, 400) as i64,
            false => 1_000_000,
        };
        let rough = loss > 0;
        Plan {
            seed,
            leads: listed,
            troubles,
            kills,
            network: Network {
                loss: loss * 10,
                duplicates: if rough { 30 } else { 0 },
                delay: if rough { (5, 60) } else { (5, 20) },
            },
            lines,
            balance,
            flaw: None,
        }
    }

    /// Milliseconds until the last trouble is over.
    pub fn span(&self) -> u64 {
        let ends = self
            .troubles
            .iter()
            .map(|trouble| trouble.ms + trouble.lasts);
        ends.max().unwrap_or(0)
    }
}

impl Listed {
    /// Whatever happens to the others, the nth lead of a seed is the same person.
    fn draw(seed: u64, n: u32) -> Listed {
        let mut chance = Chance::of(seed, u64::from(n));
        let twice = n > 0 && chance.percent(4);
        let number = if twice {
            chance.below(u64::from(n)) as u32
        } else {
            n
        };
        Listed {
            n,
            number,
            second: twice,
            suppressed: chance.percent(2),
            manner: somebody(&mut chance),
        }
    }
}

fn somebody(chance: &mut Chance) -> Manner {
    let refuses = |chance: &mut Chance, code, q850| Manner::Refuses {
        after: 50 + chance.below(3000),
        code,
        q850,
    };
    match chance.below(100) {
        0..7 => refuses(chance, 486, Some(17)),
        7..12 => refuses(chance, 404, None),
        12..16 => refuses(chance, 503, None),
        16..18 => refuses(chance, 603, Some(21)),
        18..20 => refuses(chance, 480, Some(20)),
        20..26 => Manner::NeverAnswers,
        26..29 => Manner::Silent,
        29..35 => machine(chance),
        _ => person(chance),
    }
}

/// Answers at once, greets over whatever is said, records for a while and hangs up.
fn machine(chance: &mut Chance) -> Manner {
    let greeting = Line {
        text: VOICEMAIL,
        over: true,
        after: 300,
        lasts: 3000 + chance.below(5000),
    };
    Manner::Answers {
        rings: 50,
        after: chance.below(300),
        early: chance.percent(50),
        lines: [greeting].into(),
        hangs_up: Some(20_000 + chance.below(40_000)),
        drift: 0,
        mute: None,
    }
}

fn person(chance: &mut Chance) -> Manner {
    let mut lines = Vec::new();
    for _ in 0..chance.below(7) {
        lines.push(Line {
            text: chance.one_of(&SAID).copied().unwrap_or_default(),
            over: chance.percent(25),
            after: 100 + chance.below(1500),
            lasts: 300 + chance.below(1500),
        });
    }
    Manner::Answers {
        rings: 50 + chance.below(1500),
        after: chance.below(8000),
        early: chance.percent(30),
        lines: lines.into(),
        hangs_up: chance.percent(35).then(|| chance.below(20_000)),
        drift: chance.below(1000) as i64 - 500,
        mute: chance.percent(4).then(|| 1000 + chance.below(20_000)),
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", house::mobile(self.number as usize))?;
        if self.second {
            write!(f, " (of the second campaign)")?;
        }
        if self.suppressed {
            write!(f, " (on the do-not-call list)")?;
        }
        match &self.manner {
            Manner::Answers {
                rings,
                after,
                lines,
                hangs_up,
                mute,
                ..
            } => {
                write!(f, " answers after {} ms", rings + after)?;
                for line in lines.iter() {
                    let when = if line.over { "over the robot" } else { "then" };
                    write!(f, ", says {when} {}", line.text)?;
                }
                if let Some(ms) = hangs_up {
                    write!(f, ", hangs up after {ms} ms")?;
                }
                if let Some(ms) = mute {
                    write!(f, ", sends nothing more after {ms} ms")?;
                }
                Ok(())
            }
            Manner::Refuses { after, code, .. } => {
                write!(f, " refuses with {code} after {after} ms")
            }
            Manner::NeverAnswers => write!(f, " rings and is never answered"),
            Manner::Silent => write!(f, " gives no sign at all"),
        }
    }
}

//! Grades A–F (product §5.1) and why a call reached no live person.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grade {
    /// 意向客户
    A,
    /// 一般意向
    B,
    /// 简单对话
    C,
    /// 明确拒绝
    D,
    /// 未接通
    E,
    /// 多次未接通
    F,
}

impl Grade {
    pub const ALL: [Grade; 6] = [Grade::A, Grade::B, Grade::C, Grade::D, Grade::E, Grade::F];

    /// The name users know from the manual (S1 §8.4).
    pub fn name(self) -> &'static str {
        match self {
            Grade::A => "意向客户",
            Grade::B => "一般意向",
            Grade::C => "简单对话",
            Grade::D => "明确拒绝",
            Grade::E => "未接通",
            Grade::F => "多次未接通",
        }
    }
    pub fn letter(self) -> char {
        match self {
            Grade::A => 'A',
            Grade::B => 'B',
            Grade::C => 'C',
            Grade::D => 'D',
            Grade::E => 'E',
            Grade::F => 'F',
        }
    }
    pub fn from_letter(letter: char) -> Option<Grade> {
        Grade::ALL
            .into_iter()
            .find(|grade| grade.letter() == letter.to_ascii_uppercase())
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// Why no live person was reached: the sub-cause of E and F.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreached {
    Busy,
    Rejected,
    NoAnswer,
    /// 空号: F at once, never dialled again.
    EmptyNumber,
    SwitchedOff,
    Machine,
    CallAssistant,
    Fax,
    /// Network, gateway or engine fault.
    Network,
}

impl Unreached {
    /// From the SIP final response of the attempt (RFC 3261 §21) and, when the peer sent one, the Q.850 cause (RFC 3326).
    pub fn from_sip(code: u16, q850: Option<u8>) -> Unreached {
        match (q850, code) {
            // Q.850: 1 unallocated number, 22 number changed, 28 invalid number format.
            (Some(1 | 22 | 28), _) | (None, 404 | 410 | 484 | 604) => Unreached::EmptyNumber,
            (Some(17), _) | (None, 486 | 600) => Unreached::Busy,
            (Some(21), _) | (None, 403 | 603) => Unreached::Rejected,
            // 18 no user responding, 19 no answer, 16 when we ended the ringing ourselves.
            (Some(18 | 19), _) | (_, 408 | 487) => Unreached::NoAnswer,
            (Some(20), _) | (None, 480) => Unreached::SwitchedOff,
            _ => Unreached::Network,
        }
    }
}

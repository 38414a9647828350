//! The simulation's stage, as these stories use it: logs and records are kept, and a broken law is a failed test.

pub use simulation::stage::Happening;
pub use simulation::{Stage, callee, peer, shop};

use simulation::log::Log;
use std::time::Duration;

pub mod house {
    pub use super::Sound;
    pub use simulation::house::*;
}

pub trait Sound: Sized {
    /// Everybody registered, a hundred yuan in the account, a calm network.
    fn new(seed: u64) -> Self;
    /// Nobody registered yet.
    fn bare(seed: u64) -> Self;
    /// Until every lead's story is over, or put off to another day.
    fn run_campaign(&mut self);
    /// Everybody leaves; then nothing may be left, and nothing may have been broken on the way.
    fn close(&mut self);
    fn sound(&self);
}

impl Sound for Stage {
    fn new(seed: u64) -> Stage {
        let mut stage = <Stage as Sound>::bare(seed);
        stage.everybody_registers();
        stage
    }

    fn bare(seed: u64) -> Stage {
        let mut stage = Stage::of_acme(seed);
        stage.log = Log::Kept(Vec::new());
        stage.keeps_notices = true;
        stage
    }

    fn run_campaign(&mut self) {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        self.until_campaign_ends(hours(4), hours(3));
        self.sound();
    }

    fn close(&mut self) {
        self.wind_up();
        self.sound();
    }

    fn sound(&self) {
        if let Some(violation) = self.watch.broken() {
            panic!("{violation}");
        }
    }
}

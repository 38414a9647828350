//! Twenty slots of one millisecond: frame legs tick every 20 ms, each in its slot, so that ticks do not bunch.

pub(crate) const SLOTS: usize = 20;

#[derive(Debug, Default)]
pub(crate) struct Wheel {
    /// Places of the legs in frame mode.
    slots: [Vec<usize>; SLOTS],
    /// Connected legs that own the slot, in frame mode or not.
    owners: [u32; SLOTS],
    ticking: usize,
}

impl Wheel {
    /// A slot for a new leg: the emptiest.
    pub fn assign(&mut self) -> usize {
        let slot = (0..SLOTS)
            .min_by_key(|slot| self.owners[*slot])
            .unwrap_or(0);
        self.owners[slot] += 1;
        // A tick may not allocate, nor may a mode change in it.
        let owners = self.owners[slot] as usize;
        let legs = &mut self.slots[slot];
        legs.reserve(owners.saturating_sub(legs.len()));
        slot
    }
    pub fn release(&mut self, slot: usize) {
        self.owners[slot] -= 1;
    }
    pub fn start(&mut self, slot: usize, place: usize) {
        self.slots[slot].push(place);
        self.ticking += 1;
    }
    pub fn stop(&mut self, slot: usize, place: usize) {
        if let Some(at) = self.slots[slot].iter().position(|other| *other == place) {
            self.slots[slot].swap_remove(at);
            self.ticking -= 1;
        }
    }
    pub fn ticking(&self) -> usize {
        self.ticking
    }
    pub fn due(&self, millisecond: u64) -> &[usize] {
        &self.slots[slot_of(millisecond)]
    }
    /// The first millisecond from `from` on in which a leg ticks.
    pub fn next(&self, from: u64) -> Option<u64> {
        (from..from + SLOTS as u64).find(|ms| !self.due(*ms).is_empty())
    }
}

pub(crate) fn slot_of(millisecond: u64) -> usize {
    (millisecond % SLOTS as u64) as usize
}

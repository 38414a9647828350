//! Chance from a seed (xorshift), good enough to lose packets by.

#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A stream of its own for the nth of something, so that what happens to one does not move the others.
    pub fn of(seed: u64, n: u64) -> Chance {
        let mut mixed = Chance::new(seed ^ n.wrapping_add(1).wrapping_mul(0xd1b5_4a32_d192_ed03));
        mixed.below(2);
        mixed
    }

    /// From nothing up to, not including, `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most.max(1)
    }

    /// From `least` up to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// So many times of a hundred.
    pub fn percent(&mut self, times: u64) -> bool {
        self.below(100) < times
    }

    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let nth = self.below(all.len() as u64) as usize;
        all.get(nth)
    }
}

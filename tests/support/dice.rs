//! Chance that a test can repeat.
#![allow(clippy::print_stdout, reason = "whoever repeats a test needs its seed")]

use schoolgate::entropy::{self, SystemEntropy};

/// Numbers that follow from a seed: SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From the seed in the environment variable, else from one that is drawn; says which.
    pub fn from_environment(variable: &str) -> Self {
        let given = std::env::var(variable).ok().map(|text| text.parse().expect("the seed is a number"));
        let seed = given.unwrap_or_else(|| u64::from(u32::from_le_bytes(entropy::bytes::<4>(&SystemEntropy))));
        println!("{variable}={seed}");
        Self(seed)
    }

    /// Other ones, which follow from these.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

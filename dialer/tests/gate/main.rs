//! The gate, told as stories: who calls whom, when, under which rules, and what the gate says.

mod calls_before;
mod hours;
mod numbers;
mod properties;
mod purposes;
mod told;

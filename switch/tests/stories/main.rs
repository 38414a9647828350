//! The call centre as a story: calls, campaigns and people in virtual time, through networks that lose and repeat.

mod stage;

mod campaigns;
mod people;
mod robots;
mod seeds;

//! Running it: what is measured and logged, whether it is ready, how it stops, backups, a full disk, a newer schema.

mod backup;
mod disk;
mod schema;
mod stop;
mod watched;

#[test]
fn the_program() {
    tests::program::be();
}

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

/// This binary again, started by the API to read a sheet; an ordinary run has nothing to read.
#[test]
fn read_sheet() {
    admin::read_sheet();
}

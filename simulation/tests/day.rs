//! A day of calls: the node's memory stays where it was.

use simulation::play::day;

/// Resident memory, in MB. The only test of its process, so that it measures the node.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096 / 1_000_000
}

#[test]
fn a_day_of_calls_leaves_memory_where_it_was() {
    let mut hours = Vec::new();
    let outcome = day(1, 24, 400, |hour, steps| {
        hours.push((hour, steps, resident()))
    });
    assert_eq!(outcome.violation, None);
    for (hour, steps, mb) in &hours {
        println!("hour {hour:>2}: {steps:>8} steps, {mb} MB");
    }
    let (second, last) = (hours[1].2, hours[23].2);
    assert!(
        last <= second + 16,
        "{second} MB after two hours, {last} MB after the day"
    );
}

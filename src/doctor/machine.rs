//! The machine: its clock, cores, disk, and how many sockets it lets us have.

use super::finding::Finding;
use crate::config::Config;
use engine::RtpPorts;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files and sockets the process has beside RTP.
const OWN_FILES: u64 = 200;
/// Two channels of 16 bit at 8 kHz.
const RECORDING_BYTES_PER_HOUR: u64 = 32_000 * 3600;
const MB: u64 = 1_000_000;

pub fn check(config: &Config) -> Vec<Finding> {
    vec![
        files(config),
        clock(engine::clock::wall().as_millis(), synchronised()),
        cores(),
        disk(&config.data),
    ]
}

fn files(config: &Config) -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let sockets = match config.rtp_ports() {
        Ok(RtpPorts::Range(from, to)) => u64::from(to.saturating_sub(from)) / 2 + 1,
        Ok(RtpPorts::System(count)) => u64::from(count),
        Err(_) => 0,
    };
    open_files(limit.current, limit.maximum, sockets + OWN_FILES)
}

fn open_files(soft: Option<u64>, hard: Option<u64>, wanted: u64) -> Finding {
    const SUBJECT: &str = "open files";
    let Some(soft) = soft else {
        return Finding::ok(SUBJECT, "unlimited");
    };
    if soft >= wanted {
        return Finding::ok(
            SUBJECT,
            format!("{soft}; the RTP ports need up to {wanted}"),
        );
    }
    let calls = soft.saturating_sub(OWN_FILES) / 2;
    let text = format!(
        "{soft}: enough for {calls} calls, the RTP ports would carry {}",
        (wanted - OWN_FILES) / 2
    );
    let fix = match hard {
        Some(hard) if hard < wanted => {
            format!(
                "LimitNOFILE={wanted} in the service's unit, or `nofile` in /etc/security/limits.conf"
            )
        }
        _ => format!(
            "`ulimit -n {wanted}` before starting, or LimitNOFILE={wanted} in the service's unit"
        ),
    };
    if calls < 2 {
        Finding::failed(SUBJECT, text, fix)
    } else {
        Finding::warn(SUBJECT, text, fix)
    }
}

/// Whether the system says that its clock is kept right; `None` when nobody says.
fn synchronised() -> Option<bool> {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Some(true);
    }
    let answer = Command::new("timedatectl")
        .args(["show", "-p", "NTPSynchronized", "--value"])
        .output()
        .ok()?;
    match String::from_utf8_lossy(&answer.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn clock(millis: i64, synchronised: Option<bool>) -> Finding {
    const SUBJECT: &str = "clock";
    const YEAR_2025: i64 = 1_735_689_600_000;
    const YEAR_2100: i64 = 4_102_444_800_000;
    let fix = "`timedatectl set-ntp true`, or install chrony";
    if !(YEAR_2025..YEAR_2100).contains(&millis) {
        let text = "is far off: calling windows, nonces and records would be wrong";
        return Finding::failed(SUBJECT, text, fix);
    }
    let shown = utc(millis);
    match synchronised {
        Some(true) => Finding::ok(SUBJECT, format!("{shown}, kept by NTP")),
        Some(false) => Finding::warn(SUBJECT, format!("{shown}, not kept by NTP"), fix),
        None => Finding::ok(
            SUBJECT,
            format!("{shown}; this system does not tell whether NTP keeps it"),
        ),
    }
}

/// `2025-11-21 03:37 UTC`.
fn utc(millis: i64) -> String {
    let minutes = millis.div_euclid(60_000);
    let (days, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    // Days to a civil date, counted in eras of 400 years that begin on a 1 March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        minute / 60,
        minute % 60
    )
}

fn cores() -> Finding {
    const SUBJECT: &str = "cores";
    match std::thread::available_parallelism().map_or(1, |n| n.get()) {
        1 => Finding::warn(
            SUBJECT,
            "1: recognition and media share it",
            "a second core keeps turns short while several robots listen",
        ),
        n => Finding::ok(SUBJECT, format!("{n}")),
    }
}

fn disk(data: &Path) -> Finding {
    const SUBJECT: &str = "data folder";
    let shown = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let Some(existing) = nearest(&shown) else {
        return Finding::failed(
            SUBJECT,
            format!("{} cannot be reached", shown.display()),
            "--data with a folder on this machine",
        );
    };
    if let Err(error) = tempfile::tempfile_in(&existing) {
        let fix = "give the user that runs huying the right to write there, or choose another with --data";
        return Finding::failed(
            SUBJECT,
            format!("nothing can be written in {}: {error}", existing.display()),
            fix,
        );
    }
    let free = match rustix::fs::statvfs(&existing) {
        Ok(system) => system.f_bavail * system.f_frsize,
        Err(error) => {
            return Finding::warn(
                SUBJECT,
                format!("{}: {error}", existing.display()),
                "look with `df`",
            );
        }
    };
    let remark = if existing == shown {
        ""
    } else {
        " (will be created)"
    };
    room(&format!("{}{remark}", shown.display()), free)
}

fn room(shown: &str, free: u64) -> Finding {
    const SUBJECT: &str = "data folder";
    let hours = free / RECORDING_BYTES_PER_HOUR;
    let text = format!(
        "{shown}, {} MB free: {hours} hours of recordings",
        free / MB
    );
    let fix = "free some space, or --data on a larger disk";
    match free / MB {
        0..200 => Finding::failed(SUBJECT, text, fix),
        200..2_000 => Finding::warn(SUBJECT, text, fix),
        _ => Finding::ok(SUBJECT, text),
    }
}

/// The folder itself, or the closest one above it that is there.
fn nearest(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .find(|above| above.is_dir())
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn a_clock_in_1970_fails_and_one_nobody_keeps_warns() {
        assert_eq!(clock(60_000, Some(true)).state, State::Failed);
        assert_eq!(clock(1_763_696_220_000, Some(false)).state, State::Warn);
        assert!(
            clock(1_763_696_220_000, Some(true))
                .text
                .starts_with("2025-11-21 03:37 UTC")
        );
        assert_eq!(utc(1_709_164_800_000), "2024-02-29 00:00 UTC");
    }

    #[test]
    fn fewer_files_than_ports_tell_how_many_calls_that_is() {
        let finding = open_files(Some(1024), Some(4096), 5200);
        assert_eq!(finding.state, State::Warn);
        assert!(finding.text.contains("412 calls"), "{}", finding.text);
        assert!(finding.fix.contains("LimitNOFILE=5200"));
        assert_eq!(open_files(Some(64), None, 5200).state, State::Failed);
        assert_eq!(open_files(None, None, 5200).state, State::Ok);
    }

    #[test]
    fn a_full_disk_fails_before_it_loses_recordings() {
        assert_eq!(room("data", 50 * MB).state, State::Failed);
        assert_eq!(room("data", 900 * MB).state, State::Warn);
        assert!(room("data", 12_000 * MB).text.contains("104 hours"));
    }
}

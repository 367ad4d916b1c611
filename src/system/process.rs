//! What this process takes of the machine, as `/proc` says it.

use std::path::Path;
use std::time::Duration;

/// Memory, time and files of this process; `None` where the system does not say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessUse {
    pub resident_bytes: Option<u64>,
    pub cpu_time: Option<Duration>,
    pub open_files: Option<u64>,
    /// Since the Unix epoch.
    pub started: Option<Duration>,
}

impl ProcessUse {
    pub fn now() -> Self {
        Self::read(Path::new("/proc"))
    }

    fn read(proc: &Path) -> Self {
        let text = |name: &str| std::fs::read_to_string(proc.join(name)).unwrap_or_default();
        let (own, system) = (text("self/stat"), text("stat"));
        let boot = system.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
        let open = std::fs::read_dir(proc.join("self/fd")).ok().map(|files| files.count() as u64);
        Self {
            resident_bytes: resident_bytes(&text("self/status")),
            cpu_time: ticks(&own, USER_TIME).zip(ticks(&own, SYSTEM_TIME)).map(|(user, system)| user + system),
            // One of them is the folder that is being read.
            open_files: open.map(|n| n.saturating_sub(1)),
            started: boot.map(Duration::from_secs).zip(ticks(&own, START_TIME)).map(|(boot, start)| boot + start),
        }
    }
}

/// Resident memory, as `/proc/self/status` says it.
pub fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Fields of `/proc/self/stat` after the name of the process, which may hold blanks; see proc(5).
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START_TIME: usize = 19;

fn ticks(stat: &str, field: usize) -> Option<Duration> {
    /// Linux gives times to programs in hundredths of a second, whatever its own clock.
    const TICK: Duration = Duration::from_millis(10);
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u32 = fields.split_whitespace().nth(field)?.parse().ok()?;
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_system_are_read() {
        let proc = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(proc.path().join(name), text).unwrap();
        assert_eq!(ProcessUse::read(proc.path()), ProcessUse::default());
        std::fs::create_dir_all(proc.path().join("self/fd")).unwrap();
        (0..4).for_each(|number| write(&format!("self/fd/{number}"), ""));
        write("self/status", "Name:\tx\nVmRSS:\t    1000 kB\n");
        write("self/stat", "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 2000 9 9");
        write("stat", "cpu 1 2\nbtime 1000\n");
        let seconds = Duration::from_secs;
        let expected = ProcessUse {
            resident_bytes: Some(1_024_000),
            cpu_time: Some(seconds(2)),
            open_files: Some(3),
            started: Some(seconds(1020)),
        };
        assert_eq!(ProcessUse::read(proc.path()), expected);
    }
}

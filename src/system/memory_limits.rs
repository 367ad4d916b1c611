//! How much memory this process may still take: the least that the machine, its control groups and its resource limits leave.

use std::path::{Path, PathBuf};

/// A limit on the memory of this process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryLimit {
    /// Bytes that the process may still take.
    pub available: u64,
    /// Where the limit is set, for an administrator.
    pub name: String,
}

/// Bytes that this process may still take; `None` where the system does not say. `root` is `/`, or a copy of `/proc` and `/sys`
/// in tests.
pub fn available_bytes(root: &Path) -> Option<u64> {
    tightest_limit(root).map(|limit| limit.available)
}

/// The limit that leaves the least; `None` where the system does not say.
pub fn tightest_limit(root: &Path) -> Option<MemoryLimit> {
    machine(root).into_iter().chain(address_space(root)).chain(control_groups(root)).min()
}

fn machine(root: &Path) -> Option<MemoryLimit> {
    let available = kilobytes(&read(&root.join("proc/meminfo"))?, "MemAvailable:")?;
    Some(MemoryLimit { available, name: "the memory of the machine".to_owned() })
}

/// What `ulimit -v` leaves.
fn address_space(root: &Path) -> Option<MemoryLimit> {
    let limits = read(&root.join("proc/self/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    let available = limit.saturating_sub(kilobytes(&read(&root.join("proc/self/status"))?, "VmSize:")?);
    Some(MemoryLimit { available, name: "ulimit -v".to_owned() })
}

/// What each control group of this process leaves, from its own up to the root: systemd's slices and containers limit the groups
/// above that of the process.
fn control_groups(root: &Path) -> impl Iterator<Item = MemoryLimit> {
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let mounts: &[&str] = match controllers {
            "" => &["sys/fs/cgroup", "sys/fs/cgroup/unified"],
            _ if controllers.split(',').any(|name| name == "memory") => &["sys/fs/cgroup/memory"],
            _ => continue,
        };
        // In a container the path may be one that only the host sees, so that some of these folders are missing.
        let path: PathBuf =
            Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
        for (mount, group) in mounts.iter().flat_map(|mount| path.ancestors().map(move |group| (mount, group))) {
            let folder = Path::new(mount).join(group);
            let name = format!("the control group /{}", folder.display());
            found.extend(group_leaves(&root.join(&folder)).map(|available| MemoryLimit { available, name }));
        }
    }
    found.into_iter()
}

/// What one control group leaves. Cached pages of files count as used, but the kernel takes them back before it refuses.
fn group_leaves(group: &Path) -> Option<u64> {
    let number = |name: &str| read(&group.join(name))?.trim().parse::<u64>().ok();
    // `memory.high` throttles until little moves. Where there is no limit, the files say `max` (v2) or a number near 2^63 (v1).
    let limits = ["memory.max", "memory.high", "memory.limit_in_bytes"];
    let limit = limits.iter().filter_map(|name| number(name)).filter(|&limit| limit < 1 << 62).min()?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let stat = read(&group.join("memory.stat")).unwrap_or_default();
    let cached = ["total_inactive_file ", "inactive_file "]
        .iter()
        .find_map(|name| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()));
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?;
    value.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_least_that_any_limit_leaves_counts() {
        const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    9000 kB\n");
        const V2: (&str, &str) = ("proc/self/cgroup", "0::/web.slice/ressort.service\n");
        const V1: (&str, &str) = ("proc/self/cgroup", "7:cpu,cpuacct:/other\n5:memory:/docker/abc\n0::/\n");
        const SLICE: &str = "sys/fs/cgroup/web.slice";
        let slice = |file: &str| format!("{SLICE}/{file}");
        let service = |file: &str| format!("{SLICE}/ressort.service/{file}");
        let v1 = |group: &str, file: &str| format!("sys/fs/cgroup/memory/{group}{file}");
        type Case = (&'static str, Vec<(String, &'static str)>, (&'static str, &'static str), Option<u64>);
        let cases: [Case; 8] = [
            ("nothing is known", vec![], ("proc/x", ""), None),
            (
                "the group of the process",
                vec![(service("memory.max"), "5000"), (service("memory.current"), "1000")],
                V2,
                Some(4000),
            ),
            (
                "the slice above",
                vec![
                    (service("memory.max"), "max"),
                    (service("memory.current"), "1000"),
                    (slice("memory.max"), "3000"),
                    (slice("memory.current"), "2000"),
                ],
                V2,
                Some(1000),
            ),
            (
                "the throttle",
                vec![(slice("memory.max"), "3000"), (slice("memory.high"), "2500"), (slice("memory.current"), "2000")],
                V2,
                Some(500),
            ),
            (
                "what is cached is free",
                vec![
                    (slice("memory.max"), "3000"),
                    (slice("memory.current"), "2000"),
                    (slice("memory.stat"), "anon 1\ninactive_file 700\n"),
                ],
                V2,
                Some(1700),
            ),
            (
                "version 1, up the tree",
                vec![
                    (v1("docker/abc/", "memory.limit_in_bytes"), "9223372036854771712"),
                    (v1("docker/abc/", "memory.usage_in_bytes"), "1"),
                    (v1("docker/", "memory.limit_in_bytes"), "800"),
                    (v1("docker/", "memory.usage_in_bytes"), "100"),
                ],
                V1,
                Some(700),
            ),
            (
                "a container that sees its own group as the root",
                vec![(v1("", "memory.limit_in_bytes"), "800"), (v1("", "memory.usage_in_bytes"), "900")],
                V1,
                Some(0),
            ),
            (
                "the address space",
                vec![
                    ("proc/self/status".into(), "VmSize:\t   1 kB\n"),
                    (
                        "proc/self/limits".into(),
                        "Limit\nMax address space         4096                 unlimited            bytes\n",
                    ),
                ],
                V2,
                Some(3072),
            ),
        ];
        for (case, files, group, expected) in cases {
            let mut files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            files.push(group);
            assert_eq!(available_bytes(tree(&files).path()), expected, "{case}");
            files.push(MACHINE);
            let with_machine = expected.unwrap_or(9000 * 1024).min(9000 * 1024);
            assert_eq!(available_bytes(tree(&files).path()), Some(with_machine), "{case}, and the machine");
        }
    }

    #[test]
    fn the_limit_that_holds_is_named() {
        let group = "sys/fs/cgroup/web.slice";
        let files = [
            ("proc/self/cgroup", "0::/web.slice/ressort.service\n"),
            ("proc/meminfo", "MemAvailable: 9000 kB\n"),
            (&format!("{group}/memory.max"), "3000"),
            (&format!("{group}/memory.current"), "1000"),
        ];
        let name = |files: &[(&str, &str)]| tightest_limit(tree(files).path()).unwrap().name;
        assert_eq!(name(&files[..2]), "the memory of the machine");
        assert_eq!(name(&files), format!("the control group /{group}"));
    }
}

//! How many files and connections this process may have open.

/// The soft limit on open descriptors; `None` where the system does not say.
pub fn descriptor_limit() -> Option<usize> {
    soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_holds() {
        let table = |files: &str| {
            format!(
                "Limit   Soft Limit  Hard Limit  Units\nMax processes  7  8  processes\n{files}\nMax locked memory 1 2 bytes\n"
            )
        };
        for (files, limit) in [
            ("Max open files            512                  1048576              files", Some(512)),
            ("Max open files            unlimited            unlimited            files", Some(usize::MAX)),
            ("Max open files", None),
            ("", None),
        ] {
            assert_eq!(soft_limit(&table(files)), limit, "{files}");
        }
    }
}

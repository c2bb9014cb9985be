//! What machine figures were taken on.

use std::{fs, path::Path};

/// Processor, cores, memory, disk and system, one a line.
pub fn describe(root: &Path) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("unknown".into(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let mebibytes = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024;
    let governor = read("/proc/loadavg");
    format!(
        "machine   {} × {cores}, {mebibytes} MiB\ndisk      {}\nsystem    Linux {}\nload      {}",
        field(&read("/proc/cpuinfo"), "model name"),
        file_system(root),
        read("/proc/sys/kernel/osrelease").trim(),
        governor.split_whitespace().take(3).collect::<Vec<_>>().join(" "),
    )
}

/// The file system on which the work tree lies: device, kind, options.
fn file_system(root: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let parsed = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?, words.next()?))
    });
    let below = parsed.filter(|(_, at, _, _)| root.starts_with(at));
    let longest = below.max_by_key(|(_, at, _, _)| at.len());
    longest.map_or("unknown".into(), |(device, at, kind, options)| format!("{device} on {at} ({kind}, {options})"))
}

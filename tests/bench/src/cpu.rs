//! CPU time of a process, from the scheduler's own count.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns the CPU time of all living threads of a process, user and system together; `None` if the process or the
/// count does not exist.
#[must_use]
pub fn of_process(process: u32) -> Option<Duration> {
    threads_of(&format!("/proc/{process}/task"))
}

/// Returns the CPU time of this process, with that of the threads that have ended.
#[must_use]
pub fn of_self() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn threads_of(directory: &str) -> Option<Duration> {
    let mut total = 0;
    for thread in fs::read_dir(directory).ok()? {
        // A thread that ended meanwhile has no count any more.
        let Ok(counts) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        total += counts.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(total))
}

/// Returns the resident memory of a process, in bytes.
#[must_use]
pub fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works until this thread has used `time` of CPU time.
    fn work(time: Duration) {
        let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let end = now() + time;
        while now() < end {}
    }

    #[test]
    fn the_time_of_threads_that_have_ended_counts() {
        let before = of_self();
        std::thread::spawn(|| work(Duration::from_millis(20))).join().unwrap();
        assert!(of_self() - before >= Duration::from_millis(20));
    }
}

//! What the benches share. Each bench runs its rivals in the same run, because figures of different runs do not compare.

use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A program under comparison: its name, and what it makes of an input. The number has to be the same for all.
pub type Contender = (&'static str, fn(&str) -> usize);

/// How long one sample takes at least. The clock of computed time moves in steps of some milliseconds.
const SAMPLE: Duration = Duration::from_millis(60);

/// The median time of each contender for one pass over `input`. Rounds are interleaved, so that a machine that is slow for a
/// while is slow for all of them.
pub fn medians(contenders: &[Contender], input: &str, rounds: usize) -> Vec<Duration> {
    let mut passes = vec![1; contenders.len()];
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for ((passes, times), (_, run)) in passes.iter_mut().zip(&mut times).zip(contenders) {
            times.push(sample(*run, input, passes));
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    times.into_iter().map(median).collect()
}

/// The time of one pass, from as many passes as make a sample long enough.
fn sample(run: fn(&str) -> usize, input: &str, passes: &mut u32) -> Duration {
    loop {
        let start = clock();
        for _ in 0..*passes {
            std::hint::black_box(run(std::hint::black_box(input)));
        }
        let time = clock() - start;
        if time >= SAMPLE {
            return time / *passes;
        }
        *passes *= 2;
    }
}

/// The time that this thread has computed. Where the system does not tell, the time that has passed: on a busy machine that
/// counts against the slower ones, which are interrupted more often.
fn clock() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let computed = || {
        let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        schedule
            .split(' ')
            .next()?
            .parse()
            .ok()
            .filter(|&nanoseconds| nanoseconds > 0)
    };
    computed().map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// The peak memory of one pass of each contender in KiB, each in a process of its own: this program, started with its name.
/// `None` where there is no `/proc`.
pub fn peaks(contenders: &[Contender]) -> Vec<Option<u64>> {
    let own = std::env::current_exe().expect("this program has a path");
    let peak = |(name, _): &Contender| {
        let output = Command::new(&own).args(["--peak", name]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    contenders.iter().map(peak).collect()
}

/// In the process that [`peaks`] starts: makes one pass, prints by how much memory grew, and says that there is nothing else
/// to do.
pub fn answered_peak(contenders: &[Contender], input: &str) -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(at) = arguments.iter().position(|argument| argument == "--peak") else {
        return false;
    };
    let name = arguments.get(at + 1);
    let asked = contenders
        .iter()
        .find(|(known, _)| Some(*known) == name.map(String::as_str));
    if let (Some((_, run)), Some(before)) = (asked, memory("VmRSS")) {
        std::hint::black_box(run(input));
        println!(
            "{}",
            memory("VmHWM").unwrap_or(before).saturating_sub(before)
        );
    }
    true
}

fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

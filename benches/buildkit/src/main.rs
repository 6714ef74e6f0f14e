//! pipeops-buildkit beside `buildctl`: the same work on the same daemon in the same run, in turns.
//!
//! ```sh
//! cargo testbed up buildkit registry && eval "$(cargo testbed env)"    # BUILDKIT_HOST, BUILDCTL
//! cargo run --release --manifest-path benches/buildkit/Cargo.toml [SCENARIO…]
//! ```
//!
//! Each contender runs as a process of its own, ours as this program with `--ours`: the times hold start, connection and
//! build, and the memory is the most that its processes took at one moment. Every time is a median. A machine that does other
//! things meanwhile makes them noisy: the ratio is what counts.

mod measure;
mod ours;
mod scenarios;
mod tree;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "--ours" => ours::run(rest),
        _ => scenarios::run(&arguments),
    }
}

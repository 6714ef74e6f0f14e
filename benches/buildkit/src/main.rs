//! Compares pipeops-buildkit with `buildctl`: the same work on the same daemon, alternately in one run.
//!
//! ```sh
//! cargo testbed up buildkit registry && eval "$(cargo testbed env)"    # BUILDKIT_HOST, BUILDCTL
//! cargo run --release --manifest-path benches/buildkit/Cargo.toml [SCENARIO…]
//! ```
//!
//! Each side runs as a separate process; ours is this program with `--ours`. Times include process start, connection and build,
//! and are medians. Memory is the peak of all processes of one side. Other load on the machine makes times noisy, so compare
//! the ratios.

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

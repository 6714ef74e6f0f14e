//! The memory that builds need in a pool of real daemons. In a file of its own because it's measured for the whole process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Instant;

use common::many::{BUILDS, build_all, check, daemons, options, peak_memory, pool, show};

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn fifty_builds_at_once_over_one_and_over_three_daemons() {
    let daemons = daemons(3).await;
    println!("before: peak of this process {} MiB", peak_memory());
    for count in [1, 3] {
        let pool = pool(&daemons[..count], options());
        let begin = Instant::now();
        let results = build_all(&pool, |_| {}).await;
        show(&format!("{BUILDS} builds over {count}"), begin, &pool);
        check(results).await;
        let members = pool.members();
        assert!(
            members
                .iter()
                .all(|member| member.finished > 0 && member.lost == 0)
        );
    }
    assert!(peak_memory() < 256, "{} MiB", peak_memory());
}

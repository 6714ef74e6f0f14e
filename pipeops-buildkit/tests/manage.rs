//! What a real daemon keeps and remembers.

mod common;

use common::{Context, Recorder, client, solve, unique};
use futures::TryStreamExt;
use pipeops_buildkit::{BuildRecord, Error, PruneOptions};
use pipeops_core::event::Discard;

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_cache_mount_is_listed_and_pruned_and_nothing_else() {
    let id = unique("mount");
    let context = Context::new(&[(
        "Dockerfile",
        &format!(
            "FROM busybox\nRUN --mount=type=cache,id={id},target=/{id} dd if=/dev/zero of=/{id}/x bs=1M count=3\n"
        ),
    )]);
    solve(context.request(), &Discard).await.unwrap();
    let client = client().await;
    let filter = format!("description~={id}");
    let records = client.disk_usage(&["type==exec.cachemount"]).await.unwrap();
    let mine: Vec<_> = records
        .iter()
        .filter(|record| record.description.contains(&id))
        .collect();
    assert_eq!(mine.len(), 1, "{records:?}");
    let mine = mine[0];
    assert!(
        mine.size >= 3 << 20
            && mine.kind == "exec.cachemount"
            && mine.created.is_some()
            && !mine.in_use,
        "{mine:?}"
    );

    let only = || {
        PruneOptions::default()
            .all()
            .filter(format!("type==exec.cachemount,{filter}"))
    };
    let kept: Vec<_> = client
        .prune(only().keep_duration(std::time::Duration::from_secs(3600)))
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert!(kept.is_empty(), "it was used within the hour: {kept:?}");
    let removed: Vec<_> = client
        .prune(only())
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        removed.iter().map(|record| &record.id).collect::<Vec<_>>(),
        [&mine.id]
    );
    let left = client.disk_usage(&[&filter]).await.unwrap();
    assert!(
        left.iter().all(|record| record.kind != "exec.cachemount"),
        "{left:?}"
    );

    let error = client.disk_usage(&["type~~"]).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Call {
                call: "DiskUsage",
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_build_is_remembered_pinned_and_forgotten() {
    let mark = unique("mark");
    let context = Context::new(&[(
        "Dockerfile",
        "FROM busybox\nARG MARK\nARG API_TOKEN\nRUN echo $MARK; exit 5\n",
    )]);
    let mut request = context.request();
    request.build_args.insert("MARK".into(), mark.clone());
    solve(request.clone(), &Discard).await.unwrap_err();
    // An argument that looks like a secret keeps a build out of the records, which every client of the daemon can read.
    request.build_args.insert("API_TOKEN".into(), unique("ghp"));
    solve(request, &Discard).await.unwrap_err();
    let client = client().await;
    let all = client.history(None).await.unwrap();
    let is_mine = |build: &&BuildRecord| build.attributes.get("build-arg:MARK") == Some(&mark);
    assert_eq!(all.iter().filter(is_mine).count(), 1);
    let found = all.iter().find(is_mine).unwrap();
    assert!(
        found.error.as_ref().unwrap().contains("exit code: 5") && found.completed.is_some(),
        "{found:?}"
    );
    assert_eq!(found.frontend, "dockerfile.v0");
    assert_eq!(client.history(Some(1)).await.unwrap().len(), 1);

    client.pin_history(&found.id, true).await.unwrap();
    assert!(
        client
            .history_record(&found.id)
            .await
            .unwrap()
            .unwrap()
            .pinned
    );
    client.pin_history(&found.id, false).await.unwrap();
    client.delete_history(&found.id).await.unwrap();
    assert_eq!(client.history_record(&found.id).await.unwrap(), None);
    assert!(
        !client
            .running_builds()
            .await
            .unwrap()
            .iter()
            .any(|build| build.id == found.id)
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_build_that_is_dropped_runs_no_longer() {
    let mark = unique("mark");
    let context = Context::new(&[(
        "Dockerfile",
        "FROM busybox\nARG MARK\nRUN echo $MARK; sleep 600\n",
    )]);
    let request = context.request().build_arg("MARK", &mark);
    let client = client().await;
    let running = async || {
        let builds = client.running_builds().await.unwrap();
        builds
            .iter()
            .any(|build| build.attributes.get("build-arg:MARK") == Some(&mark))
    };
    let events = Recorder::default();
    tokio::select! {
        result = solve(request, &events) => panic!("ended: {result:?}"),
        () = events.heard(&mark) => {}
    }
    let dropped = std::time::Instant::now();
    // Asked again and again: the daemon tells nobody when a build has ended.
    while running().await {
        assert!(dropped.elapsed().as_secs() < 60, "it still runs");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    println!("ended {:?} after it was dropped", dropped.elapsed());
}

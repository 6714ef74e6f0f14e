//! Our side: `--ours info`, or `--ours build TIME FOLDER…`, which builds all folders concurrently over one connection.

use futures::future::join_all;
use pipeops_buildkit::{Address, Client, ConnectOptions, Solve};
use pipeops_core::BuildRequest;
use pipeops_core::event::Discard;

/// Runs one command; panics on errors.
pub fn run(arguments: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let host = std::env::var("BUILDKIT_HOST").expect("BUILDKIT_HOST");
        let address = Address::parse(&host).expect("an address");
        let client = Client::connect(&address, ConnectOptions::default())
            .await
            .expect("a daemon");
        match arguments {
            [what] if what == "info" => drop(client.info().await.expect("an answer")),
            [what, seconds, folders @ ..] if what == "build" => {
                let builds = folders.iter().map(|folder| build(&client, seconds, folder));
                join_all(builds).await;
            }
            _ => panic!("unknown: {arguments:?}"),
        }
    });
}

async fn build(client: &Client, commit_time: &str, folder: &str) {
    // Nothing is pushed. The name is the key under which the daemon keeps the context.
    let name = folder.rsplit('/').next().unwrap_or_default().to_lowercase();
    let image = format!("127.0.0.1:5000/bench/{name}:1");
    let mut request = BuildRequest::new(folder, image.parse().expect("a name"));
    request.commit_time = Some(commit_time.parse().expect("a time"));
    let solve = Solve::new(request).without_push();
    if let Err(error) = client.solve(solve, &Discard).await {
        panic!("{error}");
    }
}

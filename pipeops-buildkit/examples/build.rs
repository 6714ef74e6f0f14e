//! Builds a folder, pushes the image and shows the progress.
//!
//! ```text
//! cargo run -p pipeops-buildkit --features terminal --example build -- DIR --tag 127.0.0.1:5000/app:1
//! ```
//!
//! `--help` lists the options. Ctrl-C cancels the build.

use std::error::Error;
use std::process::ExitCode;

use pipeops_buildkit::{
    Address, BuildRequest, Builder, BuilderOptions, Diagnose, DockerfileSource, View,
};

const HELP: &str = "\
usage: build DIR --tag IMAGE [OPTION]…

  --tag IMAGE            the image to push, such as 127.0.0.1:5000/app:1
  --file PATH            the Dockerfile, relative to DIR; default: Dockerfile
  --target STAGE         the stage to build; default: the last one
  --build-arg KEY=VALUE  a build argument; can be repeated
  --secret ID=FILE       a secret for RUN --mount=type=secret,id=ID; can be repeated
  --platform OS/ARCH     a platform; can be repeated; default: the daemon's
  --no-cache             run all steps again

BUILDKIT_HOST names the daemon; default: unix:///run/buildkit/buildkitd.sock";

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let (address, request) = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let builder = Builder::new(address, BuilderOptions::default());
    let view = View::auto();
    let built = tokio::select! {
        built = builder.build(request, &view) => Some(built),
        // Dropping the build's future cancels it on the daemon.
        _ = tokio::signal::ctrl_c() => None,
    };
    view.finish();
    match built {
        Some(Ok(built)) => {
            println!(
                "\n{}\n{} steps, {} from cache",
                built.image, built.steps, built.cached
            );
            ExitCode::SUCCESS
        }
        Some(Err(error)) => {
            eprintln!("\n{}", error.diagnosis());
            ExitCode::FAILURE
        }
        None => {
            eprintln!("cancelled");
            ExitCode::from(130)
        }
    }
}

fn arguments() -> Result<(Address, BuildRequest), Box<dyn Error>> {
    let address = match std::env::var("BUILDKIT_HOST") {
        Ok(text) => Address::parse(&text)?,
        Err(_) => Address::default(),
    };
    let mut folder = None;
    let mut tag = None;
    let mut options = Vec::new();
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--tag" => tag = rest.next(),
            "--no-cache" => options.push((argument, String::new())),
            option if option.starts_with("--") => {
                options.push((argument, rest.next().ok_or("a value is missing")?))
            }
            _ => folder = Some(argument),
        }
    }
    let image = tag.ok_or("--tag is missing")?.parse()?;
    let mut request = BuildRequest::new(folder.ok_or("the folder is missing")?, image);
    for (option, value) in options {
        request = set(request, &option, value)?;
    }
    Ok((address, request))
}

fn set(request: BuildRequest, option: &str, value: String) -> Result<BuildRequest, Box<dyn Error>> {
    let pair = || {
        value
            .split_once('=')
            .ok_or(format!("{option} needs KEY=VALUE"))
    };
    Ok(match option {
        "--file" => request.dockerfile(DockerfileSource::Path(value)),
        "--target" => request.target(value),
        "--platform" => request.platform(value),
        "--no-cache" => request.no_cache(true),
        "--build-arg" => {
            let (key, value) = pair()?;
            request.build_arg(key, value)
        }
        "--secret" => {
            let (id, file) = pair()?;
            request.secret(id, std::fs::read_to_string(file)?)
        }
        _ => return Err(format!("unknown option {option}").into()),
    })
}

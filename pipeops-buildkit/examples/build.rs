//! Builds a folder and pushes the image, showing what happens.
//!
//! ```text
//! cargo run -p pipeops-buildkit --example build -- DIR --tag 127.0.0.1:5000/app:1 [--file Dockerfile] [--target STAGE]
//!     [--build-arg KEY=VALUE]… [--secret ID=FILE]… [--platform OS/ARCH]… [--no-cache]
//! ```
//!
//! The daemon is the one that `BUILDKIT_HOST` names. Ctrl-C cancels the build.

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Mutex;

use pipeops_buildkit::{Address, Builder, BuilderOptions};
use pipeops_core::build::DockerfileSource;
use pipeops_core::event::{EventKind, VertexState};
use pipeops_core::{BuildRequest, EventSink, ImageBuilder};

#[tokio::main]
async fn main() -> ExitCode {
    let (address, request) = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!(
                "{error}\nusage: build DIR --tag IMAGE [--file F] [--target T] [--build-arg K=V] [--secret ID=FILE]"
            );
            return ExitCode::from(2);
        }
    };
    let builder = Builder::new(address, BuilderOptions::default());
    let lines = Lines::default();
    tokio::select! {
        built = builder.build(request, &lines) => match built {
            Ok(built) => {
                println!("\n{}\n{} steps, {} from cache", built.image, built.steps, built.cached);
                ExitCode::SUCCESS
            }
            Err(failure) => {
                eprintln!("\n{}", failure.diagnosis());
                ExitCode::FAILURE
            }
        },
        // The build's future is dropped: that cancels it at the daemon.
        _ = tokio::signal::ctrl_c() => {
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
        set(&mut request, &option, value)?;
    }
    Ok((address, request))
}

fn set(request: &mut BuildRequest, option: &str, value: String) -> Result<(), Box<dyn Error>> {
    let pair = || {
        value
            .split_once('=')
            .ok_or(format!("{option} wants KEY=VALUE"))
    };
    match option {
        "--file" => request.dockerfile = DockerfileSource::Path(value),
        "--target" => request.target = Some(value),
        "--platform" => request.platforms.push(value),
        "--no-cache" => request.no_cache = true,
        "--build-arg" => {
            let (key, value) = pair()?;
            request.build_args.insert(key.to_owned(), value.to_owned());
        }
        "--secret" => {
            let (id, file) = pair()?;
            request
                .secrets
                .insert(id.to_owned(), std::fs::read_to_string(file)?.into());
        }
        _ => return Err(format!("{option} is not known").into()),
    }
    Ok(())
}

/// Prints events as lines, each step with a number.
#[derive(Default)]
struct Lines {
    numbers: Mutex<HashMap<String, usize>>,
}

impl Lines {
    fn number(&self, id: &str) -> usize {
        let mut numbers = self.numbers.lock().expect("nobody panics while printing");
        let next = numbers.len() + 1;
        *numbers.entry(id.to_owned()).or_insert(next)
    }
}

impl EventSink for Lines {
    fn emit(&self, kind: EventKind) {
        match kind {
            EventKind::Vertex {
                id,
                name,
                state,
                millis,
            } => {
                let number = self.number(&id);
                let time = millis.map_or(String::new(), |millis| {
                    format!(" {:.1}s", millis as f64 / 1000.0)
                });
                match state {
                    VertexState::Started => println!("#{number} {name}"),
                    VertexState::Cached => println!("#{number} CACHED {name}"),
                    VertexState::Done => println!("#{number} DONE{time} {name}"),
                    VertexState::Failed => println!("#{number} FAILED{time} {name}"),
                    _ => println!("#{number} CANCELLED {name}"),
                }
            }
            EventKind::Log { vertex, line } => println!("#{} | {line}", self.number(&vertex)),
            EventKind::Transfer { id, current, total } if current == total => {
                println!("   {id} {total} bytes")
            }
            EventKind::Warning { message } => println!("⚠ {message}"),
            _ => {}
        }
    }
}

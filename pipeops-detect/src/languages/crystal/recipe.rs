//! Crystal: one static program. Only Alpine's C library can be linked statically.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program::{self, Launch};
use crate::generate::script::{Script, quote};
use crate::plan::Build;

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let launch = Launch::of(app, program::PATH)?;
    program::compiler(app, script, "crystal.build");
    program::manifests(app, script, &["shard.yml", "shard.lock"]);
    let frozen = match app.folder.has("shard.lock") {
        true => " --frozen",
        false => "",
    };
    script.fetch(
        &["/root/.cache/shards"],
        &format!("shards install --production{frozen}"),
    );
    script.sources();
    let build = app.plan.build.as_ref().and_then(Build::last);
    let shards = build.is_some_and(|build| build.calls("shards build"));
    let target = app.target(|text| match shards {
        true => text
            .split_whitespace()
            .skip(2)
            .find(|word| !word.starts_with('-')),
        false => text.split_whitespace().find(|word| word.ends_with(".cr")),
    });
    let command = match target.filter(|_| shards) {
        Some(target) => format!(
            "shards build {0} --production --release --static --no-debug \\\n && install -D bin/{0} /out/app",
            quote(target)
        ),
        None => {
            let file = quote(target.unwrap_or("src/app.cr"));
            format!(
                "mkdir /out \\\n && crystal build {file} --release --static --no-debug -o /out/app"
            )
        }
    };
    script.run(
        &["/root/.cache/crystal"],
        &command,
        "statically linked, so the image needs no libraries",
    );
    let image = (
        "crystal.run",
        "a static program needs no shell and no packages",
    );
    program::last_stage(app, script, &launch, image, ".cr", &[]);
    launch.run(app, script);
    Ok(())
}

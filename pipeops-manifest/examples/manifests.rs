//! Prints the manifests of a small application, secrets redacted.
//!
//! `cargo run -p pipeops-manifest --example manifests`, or piped into kube-score:
//! `cargo run -q -p pipeops-manifest --example manifests | kube-score score -`

use pipeops_manifest::{App, ManifestGenerator, StandardManifests, to_yaml};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let digest = format!("sha256:{}", "0".repeat(64));
    let image = format!("registry.example.com/acme/shop:4f2c9ab@{digest}").parse()?;
    let app = App::new("shop", "prod", "4f2c9ab", image)
        .port(3000)
        .env("LOG_LEVEL", "info")
        .secret("DATABASE_URL", "postgres://shop:secret@db/shop");
    print!("{}", to_yaml(&StandardManifests::new().generate(&app)?));
    Ok(())
}

//! Detects the app in a folder, and prints a Dockerfile for it with the reason for each instruction.
//!
//! ```sh
//! cargo run -p pipeops-detect --example generate -- path/to/app
//! ```

use std::process::ExitCode;

use pipeops_detect::source::DirTree;
use pipeops_detect::{BaseImages, Detector, Diagnose, generate};

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let tree = match DirTree::new(&folder) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("{folder}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let detection = Detector::new().detect(&tree);
    eprintln!("{detection}");
    match generate(&tree, &detection, &BaseImages::default()) {
        Ok(generated) => {
            print!("{}", generated.explained());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("{}", error.diagnosis());
            ExitCode::FAILURE
        }
    }
}
